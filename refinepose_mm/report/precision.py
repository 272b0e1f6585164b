"""COCO's evaluation of keypoints in arrays: fast enough to repeat it a thousand times.

OKS, the matching of persons and the precision at 101 recalls follow cocoeval;
tests/report/test_average_precision.py compares all ten numbers. Persons are matched once:
resampling the images then only weighs what was matched.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .table import NOBODY, Table, Truth

THRESHOLDS = np.linspace(.5, .95, 10)
RECALLS = np.linspace(0, 1, 101)
RANGES = {'': (0, 1e10), ' (M)': (32**2, 96**2), ' (L)': (96**2, 1e10)}  # square pixels
MOST = 20  # persons of an image that count
TINY = np.spacing(1)


def similarity(joints: np.ndarray, places: np.ndarray, areas: np.ndarray,
               sigmas: np.ndarray) -> np.ndarray:
    """OKS of single joints: 1 on the place, .61 at its tolerance.

    Args:
        joints: (..., K, 2), in pixels.
        places: (..., K, 2), where they should be.
        areas: (...), of the persons, in square pixels.
        sigmas: (K,).

    Returns:
        (..., K).
    """
    squares = ((joints - places)**2).sum(-1)
    return np.exp(-squares / (2 * sigmas)**2 / (np.asarray(areas)[..., None] + TINY) / 2)


def person_oks(table: Table) -> np.ndarray:
    """(N,), OKS of each annotated person with its predicted one: 0 if nobody was found, NaN if it
    has no joints."""
    truth = table.truth
    each = similarity(table.matched(table.found.joints), truth.joints, truth.areas,
                      table.joints.sigmas)
    each = np.where(truth.labelled, np.nan_to_num(each), 0)
    count = truth.labelled.sum(1)
    return np.where(count > 0, each.sum(1) / np.maximum(count, 1), np.nan)


def oks_matrix(joints: np.ndarray, truth: Truth, rows: np.ndarray,
               sigmas: np.ndarray) -> np.ndarray:
    """(D, G), OKS of D predicted with G annotated persons.

    For a person without joints, distances are those to a box of three times its size.

    Args:
        joints: (D, K, 2), predicted.
        truth: All annotated persons.
        rows: (G,), the ones to compare with.
        sigmas: (K,).
    """
    places, known = truth.joints[rows], truth.flags[rows] > 0
    offsets = np.abs(joints[:, None] - places)  # D,G,K,2
    bare = ~known.any(1)
    if bare.any():
        low, high = truth.boxes[rows, :2], truth.boxes[rows, 2:]
        size = high - low
        below = (low - size)[None, :, None] - joints[:, None]
        above = joints[:, None] - (high + size)[None, :, None]
        offsets = np.where(bare[:, None, None], np.maximum(0, np.maximum(below, above)), offsets)
        known = known | bare[:, None]
    squares = (offsets**2).sum(-1)
    each = np.exp(-squares / (2 * sigmas)**2 / (truth.areas[rows][:, None] + TINY) / 2)
    return (each * known).sum(-1) / known.sum(-1)


def _assign(oks: np.ndarray, ignored: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """(T, D), the annotated person of each predicted one at each threshold, or NOBODY.

    Args:
        oks: (D, G), predicted persons from the highest score to the lowest.
        ignored: (G,), taken only where no other one fits.
        crowd: (G,), may be taken several times.
    """
    chosen = np.full((len(THRESHOLDS), len(oks)), NOBODY)
    taken = np.zeros((len(THRESHOLDS), oks.shape[1]), bool)
    levels = np.arange(len(THRESHOLDS))
    for number, row in enumerate(oks):
        fits = (~taken | crowd) & (row >= THRESHOLDS[:, None])
        fits &= ~ignored | ~(fits & ~ignored).any(1, keepdims=True)
        # Of equal ones the last, as in cocoeval.
        best = row.size - 1 - np.where(fits, row, -1)[:, ::-1].argmax(1)
        some = fits.any(1)
        chosen[some, number] = best[some]
        taken[levels[some], best[some]] = True
    return chosen


class Matches(NamedTuple):
    """Predicted persons of one category against the annotated ones, in one range of areas.

    Attributes:
        image: (D,), of the predicted persons, from the highest score to the lowest.
        hit: (T, D), whether one is right at each threshold.
        counted: (T, D), whether it counts; not if it is on a person who is ignored.
        persons: (I,), number of annotated persons that count, of each image.
    """

    image: np.ndarray
    hit: np.ndarray
    counted: np.ndarray
    persons: np.ndarray


def match(table: Table, joints: np.ndarray | None = None, area: str = '') -> list[Matches]:
    """Match persons, for each category that has annotations.

    Args:
        table: Truth and predictions.
        joints: (M, K, 2), in place of the predicted ones.
        area: A key of RANGES.
    """
    truth, found = table.truth, table.found
    joints = found.joints if joints is None else joints
    low, high = RANGES[area]
    outside = truth.ignored | (truth.areas < low) | (truth.areas > high)
    strange = (found.areas < low) | (found.areas > high)
    ranked = np.argsort(-found.rank, kind='stable')
    ranked = ranked[found.kept[ranked]]
    result = []
    for category in np.unique(truth.category):
        there = np.flatnonzero(truth.category == category)
        ours = ranked[found.category[ranked] == category]
        truth_of, found_of = _by_image(truth.image, there), _by_image(found.image, ours)
        parts: list[tuple[np.ndarray, ...]] = []
        for image, persons in sorted(found_of.items()):
            persons = persons[:MOST]
            hit = np.zeros((len(THRESHOLDS), len(persons)), bool)
            counted = np.broadcast_to(~strange[persons], hit.shape).copy()
            rows = truth_of.get(image)
            if rows is not None:
                chosen = _assign(oks_matrix(joints[persons], truth, rows, table.joints.sigmas),
                                 outside[rows], truth.crowd[rows])
                some = chosen != NOBODY
                hit = some
                counted[some] = ~outside[rows][chosen[some]]
            parts.append((np.full(len(persons), image), found.rank[persons], hit, counted))
        if parts:
            image, score, hit, counted = (np.concatenate(part, -1) for part in zip(*parts))
        else:
            image, score = np.zeros(0, int), np.zeros(0)
            hit = counted = np.zeros((len(THRESHOLDS), 0), bool)
        order = np.argsort(-score, kind='stable')
        result.append(Matches(
            image[order], hit[:, order], counted[:, order],
            np.bincount(truth.image[there[~outside[there]]], minlength=len(table.images))))
    return result


def _by_image(image: np.ndarray, rows: np.ndarray) -> dict[int, np.ndarray]:
    """The rows of each image, in their order."""
    if not len(rows):
        return {}
    order = rows[np.argsort(image[rows], kind='stable')]
    values, starts = np.unique(image[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts[1:])))


def curves(matches: list[Matches], weights: np.ndarray | None = None
           ) -> tuple[np.ndarray, np.ndarray]:
    """Precision (C, T, 101) at each recall, and highest recall (C, T), of categories with persons.

    Args:
        matches: Of :func:`match`.
        weights: (I,), how often each image counts; default: once.
    """
    precisions, recalls = [], []
    for one in matches:
        weights = np.ones(len(one.persons)) if weights is None else weights
        total = float(one.persons @ weights)
        if not total:
            continue
        weight = weights[one.image]
        right = np.cumsum((one.hit & one.counted) * weight, 1)
        wrong = np.cumsum((~one.hit & one.counted) * weight, 1)
        recall = right / total
        precision = right / (right + wrong + TINY)
        precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
        precision = np.hstack([precision, np.zeros((len(precision), 1))])  # beyond the last
        places = [np.searchsorted(row, RECALLS) for row in recall]
        precisions.append([row[place] for row, place in zip(precision, places)])
        recalls.append(recall[:, -1] if recall.shape[1] else np.zeros(len(recall)))
    shape = (len(precisions), len(THRESHOLDS))
    return (np.array(precisions).reshape(*shape, len(RECALLS)),
            np.array(recalls).reshape(shape))


def statistics(matches: dict[str, list[Matches]], weights: np.ndarray | None = None
               ) -> dict[str, float]:
    """COCO's ten numbers, by the names that MMPose gives them; -1 where there are no persons.

    Args:
        matches: For the keys of RANGES.
        weights: (I,), how often each image counts.
    """
    found = {}
    for area, part in matches.items():
        for name, values in zip(('AP', 'AR'), curves(part, weights)):
            found[name + area] = float(values.mean()) if values.size else -1.
            if not area:
                for label, place in ((' .5', 0), (' .75', 5)):
                    found[name + label] = float(values[:, place].mean()) if values.size else -1.
    return found


def average_precision(table: Table, joints: np.ndarray | None = None) -> float:
    """AP, of the predicted joints or of others in their place."""
    precision, _ = curves(match(table, joints))
    return float(precision.mean()) if precision.size else -1.
