"""How good the model is: the config's own metrics with intervals, and shares of right joints."""

from __future__ import annotations

import contextlib
import io
import logging
from typing import NamedTuple

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.evaluation.metrics import PCKAccuracy

from .collect import Collected
from .precision import RANGES, match, person_oks, statistics
from .resampling import Figure, figure, rates
from .table import Table, overlap

ITEMS = {'bbox': 'the longer side of the box', 'head': 'the length of the head',
         'torso': 'the length of the torso'}
USUAL = .1  # of the longer side of the box, where the config has no PCK
CURVE = np.linspace(0, .5, 51)
OKS_CURVE = np.linspace(0, 1, 51)
CLOSE = 1e-6
GROUPS = 4  # of persons by size
QUALITY = (0, .5, .7, .8, .9, 1.001)  # overlap of a detector's box with the annotated one


class Measure(NamedTuple):
    """When a joint counts as right: nearer to its place than a share of a length.

    Attributes:
        share: Of the length.
        item: A key of ITEMS.
        distances: (N, K), in shares of the length; infinite where nobody was found, NaN where a
            joint is not labelled or the length is zero.
    """

    share: float
    item: str
    distances: np.ndarray

    @property
    def counted(self) -> np.ndarray:
        """(N, K), whether a joint counts."""
        return np.isfinite(self.distances) | np.isinf(self.distances)

    @property
    def right(self) -> np.ndarray:
        """(N, K), whether it is right."""
        return self.counted & (np.nan_to_num(self.distances, nan=np.inf) < self.share)

    @property
    def name(self) -> str:
        """Such as PCK@0.1."""
        letters = {'bbox': 'PCK', 'head': 'PCKh', 'torso': 'tPCK'}[self.item]
        return f'{letters}@{self.share:g}'

    def __str__(self) -> str:
        return f'nearer than {self.share:g} of {ITEMS[self.item]}'


def measure(collected: Collected) -> Measure:
    """By the config's first PCK, of 0.1 of the box if it has several, or by the usual one."""
    table = collected.table
    lengths = _box_lengths(table)
    found = [(metric, results) for metric, results in zip(collected.evaluators, collected.results)
             if isinstance(metric, PCKAccuracy) and len(results) == len(table.found.place)
             and not table.detected]
    share, item = USUAL, 'bbox'
    if found:
        metric, results = min(found, key=lambda pair: (pair[0].thr, pair[0].norm_item) != (
            USUAL, ['bbox']))
        share, item = metric.thr, metric.norm_item[0]
        sizes = np.array([np.ravel(result[f'{item}_size'])[0] for result in results], float)
        lengths = table.matched(sizes)
    return Measure(share, item, _distances(table, lengths))


def _box_lengths(table: Table) -> np.ndarray:
    """(N,), the longer side of the annotated box, cut at the photo's edges as MMPose does."""
    boxes = table.truth.boxes
    if not table.detected:
        ours = table.matched(table.found.boxes)
        boxes = np.where(np.isfinite(ours), ours, boxes)
    return (boxes[:, 2:] - boxes[:, :2]).max(1)


def _distances(table: Table, lengths: np.ndarray) -> np.ndarray:
    """(N, K), as in :class:`Measure`."""
    away = np.linalg.norm(table.matched(table.found.joints) - table.truth.joints, axis=-1)
    away[table.match < 0] = np.inf
    with np.errstate(invalid='ignore', divide='ignore'):
        # In single precision as MMPose's, so that a joint on the edge falls on the same side.
        shares = (away / np.where(lengths > 0, lengths, np.nan)[:, None]).astype(np.float32)
    known = table.truth.labelled & ~table.truth.ignored[:, None]
    return np.where(known, shares, np.nan)


class Scores(NamedTuple):
    """The config's metrics.

    Attributes:
        figures: Name -> value as `refinepose test` gives it, and interval.
        resampled: Name -> (B,), where there is an interval.
        remark: Why some have no interval, or empty.
    """

    figures: dict[str, Figure]
    resampled: dict[str, np.ndarray]
    remark: str


def scores(collected: Collected, drawn: np.ndarray) -> Scores:
    """Intervals of every metric that can be computed from images drawn anew.

    COCO's numbers and PCK are computed by our own code where it meets the metric's value, others
    by the metric itself.

    Args:
        collected: The test.
        drawn: (B, I), of :func:`~refinepose_mm.report.resampling.drawn_images`.
    """
    resampled: dict[str, np.ndarray] = {}
    for metric, results in zip(collected.evaluators, collected.results):
        if metric is collected.coco:
            found = _coco(collected.table, drawn)
        elif len(results) != len(collected.table.found.place):
            continue
        elif type(metric) is PCKAccuracy:
            found = _pck(metric, results, collected.table.found.image, drawn)
        else:
            found = _by_itself(metric, results, collected.table.found.image, drawn)
        for name, (value, values) in found.items():
            key = f'{metric.prefix}/{name}' if metric.prefix else name
            if key in collected.metrics and abs(value - collected.metrics[key]) < CLOSE * max(
                    1, abs(value)):
                resampled[key] = values
    figures = {name: figure(value, resampled[name]) if name in resampled else Figure(value)
               for name, value in collected.metrics.items()}
    bare = [name for name in figures if name not in resampled]
    return Scores(figures, resampled, (
        f'No intervals of {", ".join(bare)}: the metric cannot be computed from drawn images.'
        if bare else ''))


Resampled = dict[str, tuple[float, np.ndarray]]


def _coco(table: Table, drawn: np.ndarray) -> Resampled:
    matches = {area: match(table, area=area) for area in RANGES}
    values = statistics(matches)
    each = [statistics(matches, weights) for weights in drawn]
    return {name: (value, np.array([one[name] if value >= 0 else np.nan for one in each]))
            for name, value in values.items()}


def _pck(metric: PCKAccuracy, results: list[dict], image: np.ndarray, drawn: np.ndarray
         ) -> Resampled:
    """MMPose's PCK is the mean over joints of each one's share."""
    letters = {'bbox': 'PCK', 'head': 'PCKh', 'torso': 'tPCK'}
    gaps, mask = (np.concatenate([result[name] for result in results]) for name in (
        'pred_coords', 'mask'))
    gaps = gaps - np.concatenate([result['gt_coords'] for result in results])
    found = {}
    for item in metric.norm_item:
        size = np.concatenate([result[f'{item}_size'] for result in results])
        counted = mask & (size > 0).all(1)[:, None]
        share = np.linalg.norm(gaps / np.where(size > 0, size, 1)[:, None], axis=-1)
        found_rates = rates(share.astype(np.float32) < metric.thr, counted, image, drawn)
        found[letters[item]] = (float(np.nanmean(found_rates.values)),
                                np.nanmean(found_rates.resampled, 1))
    return found


def _by_itself(metric: BaseMetric, results: list, image: np.ndarray, drawn: np.ndarray,
               times: int = 200) -> Resampled:
    """The metric's own computation on persons drawn anew; fewer times, as it takes longer."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)  # metrics log each evaluation
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            value = metric.compute_metrics(list(results))
            each = [metric.compute_metrics(
                [results[row] for row in np.repeat(np.arange(len(results)),
                                                   weights[image].astype(int))])
                for weights in drawn[:times]]
    finally:
        logger.setLevel(level)
    return {name: (float(one), np.array([float(other.get(name, np.nan)) for other in each]))
            for name, one in value.items()}


class Part(NamedTuple):
    """Some joints or persons: their name, their number, and the share of right joints."""

    name: str
    count: int
    share: Figure


def overall(table: Table, by: Measure, drawn: np.ndarray) -> Part:
    """All joints together."""
    return _pooled(table, by, drawn, [('all', by.counted)])[0]


def per_joint(table: Table, by: Measure, drawn: np.ndarray) -> list[Part]:
    """Each joint; those that are never labelled are left out."""
    found = rates(by.right, by.counted, table.truth.image, drawn)
    return [Part(name, int(count), one) for name, count, one in zip(
        table.joints.names, by.counted.sum(0), found.figures()) if count]


def per_size(table: Table, by: Measure, drawn: np.ndarray) -> list[Part]:
    """Four groups of persons of equal number, by the root of the box's area in pixels."""
    boxes = table.truth.boxes
    size = np.sqrt(np.maximum(0, boxes[:, 2:] - boxes[:, :2]).prod(1))
    counted = by.counted.any(1)
    if counted.sum() < 2 * GROUPS:
        return []
    edges = np.unique(np.quantile(size[counted], np.linspace(0, 1, GROUPS + 1)))
    group = np.clip(np.searchsorted(edges, size, 'right') - 1, 0, max(0, len(edges) - 2))
    return _pooled(table, by, drawn, [
        (f'{low:.0f} to {high:.0f} pixels', (group == place)[:, None])
        for place, (low, high) in enumerate(zip(edges[:-1], edges[1:]))])


def per_visibility(table: Table, by: Measure, drawn: np.ndarray) -> list[Part]:
    """Hidden and visible joints, where the annotations tell them apart."""
    parts = _pooled(table, by, drawn, [
        ('visible (v=2)', table.truth.flags == 2), ('hidden (v=1)', table.truth.flags == 1)])
    return parts if all(part.count for part in parts) else []


def per_box(table: Table, by: Measure, drawn: np.ndarray) -> list[Part]:
    """By the overlap of a detector's box with the annotated one, where there is a detector."""
    if not table.detected:
        return []
    shared = overlap(table.matched(table.found.boxes), table.truth.boxes)
    shared = np.nan_to_num(shared, nan=-1)
    groups = [(f'{low:g} to {min(high, 1):g}', ((shared >= low) & (shared < high))[:, None])
              for low, high in zip(QUALITY[:-1], QUALITY[1:])]
    return [part for part in _pooled(
        table, by, drawn, [('not found', (shared < 0)[:, None]), *groups]) if part.count]


def _pooled(table: Table, by: Measure, drawn: np.ndarray,
            groups: list[tuple[str, np.ndarray]]) -> list[Part]:
    """Shares of right joints of groups, (N, K) or (N, 1) each."""
    parts = []
    for name, chosen in groups:
        counted = by.counted & chosen
        # A column would do; the rates count persons, so joints are summed as extra rows.
        image = np.repeat(table.truth.image, counted.shape[1])
        found = rates(by.right.reshape(-1, 1), counted.reshape(-1, 1), image, drawn)
        parts.append(Part(name, int(counted.sum()), found.figures()[0]))
    return parts


class Curve(NamedTuple):
    """A share at each threshold, with its interval: (T,) each."""

    thresholds: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def pck_curve(table: Table, by: Measure, drawn: np.ndarray) -> Curve:
    """Share of the joints that are nearer than each threshold."""
    thresholds = CURVE * (1 if by.share <= .3 else 2)
    inside = np.nan_to_num(by.distances, nan=np.inf)[..., None] < thresholds
    return _curve(thresholds, inside.reshape(-1, len(thresholds)), by.counted.reshape(-1, 1),
                  np.repeat(table.truth.image, by.counted.shape[1]), drawn)


def oks_curve(table: Table, drawn: np.ndarray) -> Curve:
    """Share of the persons whose OKS is at least each threshold."""
    oks = person_oks(table)
    counted = np.isfinite(oks) & ~table.truth.ignored
    return _curve(OKS_CURVE, np.nan_to_num(oks)[:, None] >= OKS_CURVE, counted[:, None],
                  table.truth.image, drawn)


def _curve(thresholds: np.ndarray, hits: np.ndarray, counted: np.ndarray, image: np.ndarray,
           drawn: np.ndarray) -> Curve:
    found = rates(hits, np.broadcast_to(counted, hits.shape), image, drawn)
    low, high = np.nanpercentile(found.resampled, [2.5, 97.5], axis=0)
    return Curve(thresholds, found.values, low, high)
