"""Two models on the same persons: differences with paired intervals, and where they are largest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .collect import Collected
from .metrics import Measure, Part, Scores
from .precision import person_oks
from .resampling import Figure, figure, rates
from .table import Table

ALIKE = .05  # of OKS: persons who differ by less are alike


class Row(NamedTuple):
    """A metric of both, and the difference: the second's minus the first's."""

    name: str
    first: float
    second: float
    difference: Figure


class Comparison(NamedTuple):
    """A model against another one; differences are the model's minus the other's.

    Attributes:
        rows: Metrics that both have.
        joints: Share of right joints, of each joint.
        oks: (N,), of each annotated person; NaN where it has no joints.
        better: Number of persons on which the model is clearly better.
        worse: On which the other one is.
        alike: On which they are alike.
    """

    rows: list[Row]
    joints: list[Part]
    oks: np.ndarray
    better: int
    worse: int
    alike: int


def few(names: list[str]) -> str:
    """The first three names, and how many there are."""
    return f'{", ".join(names[:3])}{", ..." if names[3:] else ""} ({len(names)})'


def require_same(model: Collected, other: Collected) -> None:
    """Check that two tests are of the same persons and joints.

    Raises:
        ValueError: If they are not.
    """
    ours, theirs = model.table, other.table
    if ours.joints.names != theirs.joints.names:
        raise ValueError('the two models must find the same joints, got '
                         f'{few(ours.joints.names)} and {few(theirs.joints.names)}')
    if ours.names != theirs.names or ours.truth.ids != theirs.truth.ids:
        raise ValueError('the two models must be tested on the same persons, got '
                         f'{len(ours.truth.ids)} and {len(theirs.truth.ids)}')


def compare(ours: Table, theirs: Table, scores: tuple[Scores, Scores], by: tuple[Measure, Measure],
            drawn: np.ndarray) -> Comparison:
    """Compare a model with another one.

    Args:
        ours: Of the model.
        theirs: Of the other one, of the same persons.
        scores: Of both.
        by: When a joint is right, of both.
        drawn: (B, I), the same images for both.
    """
    first, second = scores
    rows = []
    for name, value in first.figures.items():
        if name in second.figures:
            other = second.figures[name].value
            both = name in first.resampled and name in second.resampled
            rows.append(Row(name, value.value, other, figure(
                value.value - other, first.resampled[name] - second.resampled[name])
                if both else Figure(value.value - other)))
    shares = [rates(one.right, one.counted, ours.truth.image, drawn) for one in by]
    joints = [Part(name, int(count), figure(
        shares[0].values[joint] - shares[1].values[joint],
        shares[0].resampled[:, joint] - shares[1].resampled[:, joint]))
        for joint, (name, count) in enumerate(zip(ours.joints.names, by[0].counted.sum(0)))
        if count]
    oks = np.where(ours.truth.ignored, np.nan, person_oks(ours) - person_oks(theirs))
    known = np.isfinite(oks)
    better, worse = int((oks[known] > ALIKE).sum()), int((oks[known] < -ALIKE).sum())
    return Comparison(rows, joints, oks, better, worse, int(known.sum()) - better - worse)
