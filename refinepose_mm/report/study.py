"""Everything that a report says, as numbers: computed once, drawn and written by others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .collect import Collected
from .comparison import Comparison, compare
from .errors import GOOD, NAMES, NOT_LABELLED, Costs, costs, kinds
from .metrics import (
    Curve,
    Measure,
    Part,
    Scores,
    measure,
    oks_curve,
    overall,
    pck_curve,
    per_box,
    per_joint,
    per_size,
    per_visibility,
    scores,
)
from .precision import average_precision, person_oks
from .reliability import Reliability, reliability
from .resampling import SEED, drawn_images
from .table import Table
from .training import Training, training

SHOWN = 30  # worst persons, and as many at random
APART = 12  # persons on which two models differ most, for each of them


class Study(NamedTuple):
    """What was computed of a model.

    Attributes:
        table: Truth and predictions.
        scores: The config's metrics.
        by: When a joint is right.
        all: The share of right joints.
        joints: Of each joint.
        sizes: Of persons by size.
        visibility: Of hidden and of visible joints.
        boxes: By the overlap of a detector's boxes.
        pck: Share of near joints by threshold.
        oks: Share of good persons by threshold.
        person_oks: (N,), of each annotated person.
        kind: (N, K), the kind of each joint's error.
        costs: What the kinds cost.
        reliability: Of the scores.
        training: Curves of the run.
    """

    table: Table
    scores: Scores
    by: Measure
    all: Part
    joints: list[Part]
    sizes: list[Part]
    visibility: list[Part]
    boxes: list[Part]
    pck: Curve
    oks: Curve
    person_oks: np.ndarray
    kind: np.ndarray
    costs: Costs
    reliability: Reliability | None
    training: Training | None


def study(collected: Collected, weights: str | Path) -> Study:
    """Compute it.

    Args:
        collected: The test.
        weights: The model's file, beside which the logs of its training may lie.

    Raises:
        ValueError: If no annotated person has a joint that counts.
    """
    table = collected.table
    drawn = drawn_images(table)
    by = measure(collected)
    if not by.counted.any():
        raise ValueError('the test data have no person with a labelled joint')
    kind = kinds(table)
    oks = np.where(table.truth.ignored, np.nan, person_oks(table))
    # Costs in AP are shown only where our evaluation meets the metric's.
    has_ap = collected.coco is not None and _meets(collected, average_precision(table))
    return Study(
        table, scores(collected, drawn), by, overall(table, by, drawn),
        per_joint(table, by, drawn), per_size(table, by, drawn), per_visibility(table, by, drawn),
        per_box(table, by, drawn), pck_curve(table, by, drawn), oks_curve(table, drawn), oks, kind,
        costs(table, kind, by, has_ap), reliability(table, kind, drawn), training(weights))


def _meets(collected: Collected, value: float) -> bool:
    assert collected.coco is not None
    prefix = f'{collected.coco.prefix}/' if collected.coco.prefix else ''
    return abs(collected.metrics.get(f'{prefix}AP', math.nan) - value) < 1e-6


def compared(model: Study, other: Study) -> Comparison:
    """A model against another one."""
    return compare(model.table, other.table, (model.scores, other.scores), (model.by, other.by),
                   drawn_images(model.table))


def worst(study: Study, count: int = SHOWN) -> list[int]:
    """Found persons with the lowest OKS; of equal ones those with more joints."""
    usable = _shown(study)
    joints = study.table.truth.labelled.sum(1)
    order = np.lexsort((-joints[usable], study.person_oks[usable]))
    return usable[order][:count].tolist()


def at_random(study: Study, count: int = SHOWN) -> list[int]:
    """Found persons, drawn with a fixed seed."""
    usable = _shown(study)
    return np.random.default_rng(SEED).permutation(usable)[:count].tolist()


def _shown(study: Study) -> np.ndarray:
    return np.flatnonzero((study.table.match >= 0) & np.isfinite(study.person_oks))


def most_different(comparison: Comparison, studies: tuple[Study, Study], count: int = APART
                   ) -> tuple[list[int], list[int]]:
    """Persons on which the model is better by most, and those on which it is worse."""
    usable = _shown(studies[0])
    order = usable[np.argsort(comparison.oks[usable], kind='stable')]
    better = [int(row) for row in order[::-1] if comparison.oks[row] > 0][:count]
    return better, [int(row) for row in order if comparison.oks[row] < 0][:count]


def caption(study: Study, person: int) -> str:
    """A person's OKS, and its errors by kind."""
    kind = study.kind[person]
    counts = [(name, int((kind == number).sum())) for number, name in enumerate(NAMES)
              if number != GOOD and (kind == number).any()]
    labelled = int((kind != NOT_LABELLED).sum())
    wrong = ', '.join(f'{count} {plural(name, count)}' for name, count in counts)
    return f'OKS {study.person_oks[person]:.2f}: ' + (
        f'{wrong} of {labelled} joints' if wrong else f'all {labelled} joints are good')


def plural(kind: str, count: int = 2) -> str:
    """Such as misses."""
    return kind if count == 1 or kind == 'not found' else kind + ('es' if kind[-1] == 's' else 's')


def numbers(study: Study, comparison: Comparison | None) -> dict[str, Any]:
    """All of it as json can hold it; NaN is null."""
    found = dict(
        metrics=study.scores.figures, right=dict(name=study.by.name, meaning=str(study.by),
                                                 all=study.all),
        joints=study.joints, sizes=study.sizes, visibility=study.visibility, boxes=study.boxes,
        pck_curve=study.pck, oks_curve=study.oks,
        kinds={name: {kind: int((study.kind[:, joint] == number).sum())
                      for number, kind in enumerate(NAMES)}
               for joint, name in enumerate(study.table.joints.names)},
        costs=study.costs, reliability=study.reliability, training=study.training,
        comparison=comparison and comparison._asdict())
    return _plain(found)


def _plain(value: Any) -> Any:
    if hasattr(value, '_asdict'):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value
