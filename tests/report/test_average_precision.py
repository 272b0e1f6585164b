"""COCO's numbers, in arrays, equal those of cocoeval."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import planted_errors
import pytest
from xtcocotools.coco import COCO
from xtcocotools.cocoeval import COCOeval

from refinepose_mm.report.precision import RANGES, average_precision, match, statistics
from refinepose_mm.report.table import Found, Table, Truth

NAMES = ['AP', 'AP .5', 'AP .75', 'AP (M)', 'AP (L)', 'AR', 'AR .5', 'AR .75', 'AR (M)', 'AR (L)']


def crowd(seed: int, images: int = 12, categories: int = 1) -> Table:
    """Persons at random: crowds, some without joints, doubles, strangers, and missing ones."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(images):
        for _ in range(rng.integers(0, 5)):
            size = rng.choice([20., 60., 150.])
            places = rng.uniform(0, 300, 2) + rng.uniform(0, size, (5, 2))
            flags = rng.integers(0, 3, 5) * (rng.random() > .15)
            category = int(rng.integers(1, categories + 1))
            truth.append((image, category, places, flags, size, rng.random() < .1))
            for _ in range(rng.integers(0, 3)):
                noise = rng.choice([.02, .06, .12]) * size
                found.append((image, category, places + rng.normal(0, noise, (5, 2)), size))
        if rng.random() < .4:
            found.append((image, 1, rng.uniform(0, 300, (5, 2)), 100.))
    image, category, places, flags, size, is_crowd = map(np.array, zip(*truth))
    boxes = np.hstack([places.min(1), places.max(1)])
    annotated = Truth(list(range(1, len(truth) + 1)), image, category, boxes, .5 * size**2,
                      places, flags, is_crowd.astype(bool),
                      is_crowd.astype(bool) | ~(flags > 0).any(1))
    image, category, joints, size = map(np.array, zip(*found))
    count = len(found)
    predicted = Found(
        np.arange(count), image, category, np.hstack([joints.min(1), joints.max(1)]), joints,
        rng.random((count, 5)), rng.random(count).round(2), np.ones(count, bool),
        np.zeros((count, 2)), np.zeros((count, 2)))
    return Table([None] * images, [''] * images, annotated, predicted, np.zeros(len(truth), int),
                 planted_errors.joints(), True)


def by_cocoeval(table: Table, repeats: np.ndarray | None = None) -> dict[str, float]:
    """The same by the reference; images may be repeated."""
    repeats = np.ones(len(table.images), int) if repeats is None else repeats
    copies = [(image, copy) for image, count in enumerate(repeats) for copy in range(count)]
    coco = COCO()
    coco.dataset = dict(images=[], annotations=[], categories=[
        dict(id=category) for category in np.unique(table.truth.category).tolist()])
    results = []
    for number, (image, _) in enumerate(copies, 1):
        coco.dataset['images'].append(dict(id=number))
        truth, found = table.truth, table.found
        for row in np.flatnonzero(truth.image == image):
            left, top, right, bottom = truth.boxes[row].tolist()
            coco.dataset['annotations'].append(dict(
                id=len(coco.dataset['annotations']) + 1, image_id=number,
                category_id=int(truth.category[row]), iscrowd=int(truth.crowd[row]),
                bbox=[left, top, right - left, bottom - top], area=float(truth.areas[row]),
                keypoints=np.hstack([truth.joints[row], truth.flags[row][:, None]]).ravel()
                .tolist()))
        for row in np.flatnonzero(found.image == image):
            left, top, right, bottom = found.boxes[row].tolist()
            results.append(dict(
                image_id=number, category_id=int(found.category[row]), score=float(found.rank[row]),
                bbox=[left, top, right - left, bottom - top],
                keypoints=np.hstack([found.joints[row], np.ones((5, 1))]).ravel().tolist()))
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), 'keypoints', table.joints.sigmas, True)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(NAMES, evaluation.stats.tolist()))


@pytest.mark.parametrize(('seed', 'categories'), [*((seed, 1) for seed in range(6)), (7, 2)])
def test_all_ten_numbers_equal_cocoevals(seed, categories):
    table = crowd(seed, categories=categories)
    ours = statistics({area: match(table, area=area) for area in RANGES})
    assert ours == pytest.approx(by_cocoeval(table), abs=1e-9)


def test_images_that_are_drawn_twice_count_twice():
    """Of equal scores cocoeval has one after the other, we all at once: hence the tolerance."""
    table = crowd(3)
    rng = np.random.default_rng(0)
    repeats = rng.multinomial(len(table.images), np.full(len(table.images),
                                                         1 / len(table.images)))
    assert repeats.max() > 1 and repeats.min() == 0
    ours = statistics({'': match(table)}, repeats.astype(float))
    theirs = by_cocoeval(table, repeats)
    for name in ('AP', 'AP .5', 'AR'):
        assert ours[name] == pytest.approx(theirs[name], abs=.02)
    assert ours['AR .5'] == pytest.approx(theirs['AR .5'], abs=1e-9)


def test_other_joints_in_place_of_the_predicted_ones():
    places = np.array([planted_errors.PLACES, planted_errors.PLACES])
    table = planted_errors.table(places, places + 40)
    assert average_precision(table) == 0
    assert average_precision(table, table.truth.joints) == pytest.approx(1)
