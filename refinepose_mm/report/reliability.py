"""Do the scores of joints mean what they say: is a score of 0.8 right eight times of ten?

Right is a joint that is good or a jitter, with a similarity of .5 or more: this follows the size of
the person and the tolerance of the joint, and is no matter of a threshold that a config chose.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from .errors import GOOD, JITTER, NOT_FOUND, NOT_LABELLED
from .resampling import Figure, figure
from .table import Table

BINS = 10


class Bin(NamedTuple):
    """Joints whose scores lie between two numbers.

    Attributes:
        low: The lower one.
        high: The higher one.
        count: Number of joints.
        score: Their mean score.
        right: Share of right ones among them.
    """

    low: float
    high: float
    count: int
    score: float
    right: Figure


class Reliability(NamedTuple):
    """Scores against what is right.

    Attributes:
        bins: Those that are not empty.
        error: Expected calibration error: mean distance of score and share, over all joints. It
            has no interval: drawing images again adds distance of its own.
        order: Of 100 pairs of a right and a wrong joint, how often the right one has the higher
            score; NaN if all are right, or all wrong.
        mean: Of the scores.
        right: Share of right joints among those with scores.
    """

    bins: list[Bin]
    error: float
    order: float
    mean: float
    right: float


def reliability(table: Table, kind: np.ndarray, drawn: np.ndarray) -> Reliability | None:
    """Scores of labelled joints of found persons; None if they are no scores, but all alike.

    Args:
        table: Truth and predictions.
        kind: (N, K), of :func:`~refinepose_mm.report.errors.kinds`.
        drawn: (B, I), of :func:`~refinepose_mm.report.resampling.drawn_images`.
    """
    scores = table.matched(table.found.scores)
    counted = (kind != NOT_LABELLED) & (kind != NOT_FOUND) & np.isfinite(scores)
    near = np.isin(kind, (GOOD, JITTER))
    if not counted.any() or np.ptp(scores[counted]) == 0:
        return None
    scores = np.clip(scores, 0, 1)
    place = np.clip((np.nan_to_num(scores) * BINS).astype(int), 0, BINS - 1)
    sums = np.zeros((3, len(table.images), BINS))
    image = np.broadcast_to(table.truth.image[:, None], counted.shape)
    for row, values in enumerate((np.ones(counted.shape), scores, near)):
        np.add.at(sums[row], (image[counted], place[counted]), values[counted])
    count, score, right = sums.sum(1)
    resampled = np.einsum('bi,rik->rbk', drawn.astype(float), sums)
    with np.errstate(invalid='ignore', divide='ignore'):
        shares = resampled[2] / resampled[0]
        bins = [Bin(edge / BINS, (edge + 1) / BINS, int(count[edge]), score[edge] / count[edge],
                    figure(right[edge] / count[edge], shares[:, edge]))
                for edge in np.flatnonzero(count)]
    error = float(np.abs(right - score).sum() / count.sum())
    return Reliability(bins, error, _order(scores[counted], near[counted]),
                       float(score.sum() / count.sum()), float(right.sum() / count.sum()))


def _order(scores: np.ndarray, right: np.ndarray) -> float:
    """The area under the ROC curve, by ranks."""
    good, bad = right.sum(), (~right).sum()
    if not good or not bad:
        return float('nan')
    return float((rankdata(scores)[right].sum() - good * (good + 1) / 2) / (good * bad))
