"""Peak heights as probabilities: a monotone table for each joint, fitted on annotated persons.

The height of a heatmap's maximum ranks keypoints, but is no probability. A table has, over knots
of height, the share of keypoints that were right and their mean OKS. Right is a keypoint whose
similarity, exp(-d^2 / (2 area (2 sigma)^2)) as in COCO's OKS, is at least :data:`TOLERANCE`. The
mean of a person's expected similarities is its expected OKS (Gu et al., arXiv 2311.17105).
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

KEY = 'refinepose_calibration'  # in the metadata of checkpoints
TOLERANCE = .5  # least similarity of a keypoint that is right
PER_KNOT, KNOTS = 50, 16  # persons behind a knot, and most knots
FEWEST = 2 * PER_KNOT  # annotated keypoints; a joint with fewer takes the table of all joints
BINS = 15  # of the calibration error of all joints together; of one joint, JOINT_BINS
JOINT_BINS = 10


class Knots(NamedTuple):
    """The table of a joint.

    Attributes:
        heights: (M,), rising from 0.
        right: (M,), the probability that a keypoint of this height is right; never falls.
        oks: (M,), its expected similarity; never falls.
    """

    heights: np.ndarray
    right: np.ndarray
    oks: np.ndarray


class Calibration(NamedTuple):
    """What the peak heights of a model mean.

    Attributes:
        joints: Names of the K keypoints.
        knots: A table for each of them.
        about: Where it comes from: ``source``, ``persons``, ``tolerance``, and the errors
            ``before`` and ``after`` as measured by cross-fitting.
    """

    joints: tuple[str, ...]
    knots: tuple[Knots, ...]
    about: dict[str, Any]

    def probabilities(self, heights: np.ndarray) -> np.ndarray:
        """The probability (N, K) that each keypoint is right, of peak heights (N, K)."""
        return self._read(heights, 'right')

    def expected_oks(self, heights: np.ndarray) -> np.ndarray:
        """The expected OKS (N,) of persons with peak heights (N, K)."""
        return self._read(heights, 'oks').mean(1)

    def _read(self, heights: np.ndarray, column: str) -> np.ndarray:
        found = np.empty(heights.shape, np.float32)
        for joint, knots in enumerate(self.knots):
            found[:, joint] = np.interp(heights[:, joint], knots.heights, getattr(knots, column))
        return found

    def require_joints(self, joints: tuple[str, ...], source: object) -> None:
        """Check that it is of these joints.

        Raises:
            ValueError: If names or order differ; has the first difference.
        """
        if self.joints == joints:
            return
        if len(self.joints) != len(joints):
            raise ValueError(f'{source} is calibrated for {len(self.joints)} joints, the config '
                             f'has {len(joints)}')
        ours, theirs = next(pair for pair in zip(self.joints, joints) if pair[0] != pair[1])
        raise ValueError(f'{source} is calibrated for other joints: it has {ours!r} where the '
                         f'config has {theirs!r}')

    def to_dict(self) -> dict[str, Any]:
        """What json can hold, numbers with 4 decimals."""
        return dict(self.about, joints={
            name: {field: values.round(4).tolist() for field, values in knots._asdict().items()}
            for name, knots in zip(self.joints, self.knots)})


def from_dict(content: Any, source: object) -> Calibration:
    """A calibration as :meth:`Calibration.to_dict` gives it, of a file that may hold anything.

    Raises:
        ValueError: If it is none.
    """
    try:
        about = dict(content)
        joints = about.pop('joints')
        tables = [Knots(*(np.array(table[field], float) for field in Knots._fields))
                  for table in joints.values()]
        sound = bool(tables) and all(map(_is_table, tables))
    except (TypeError, ValueError, KeyError, AttributeError):
        sound = False
    if not sound:
        raise ValueError(f'the calibration in {source} is damaged')
    return Calibration(tuple(joints), tuple(tables), about)


def from_text(text: Any, source: object) -> Calibration:
    """A calibration from the text that stands in a checkpoint.

    Raises:
        ValueError: If it is none.
    """
    try:
        content = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        content = None
    return from_dict(content, source)


def _is_table(knots: Knots) -> bool:
    heights, *columns = knots
    return (heights.ndim == 1 and heights.size > 1 and bool((np.diff(heights) > 0).all())
            and all(values.shape == heights.shape and bool((np.diff(values) >= 0).all())
                    and 0 <= values[0] and values[-1] <= 1 for values in columns))


def fit(joints: tuple[str, ...], heights: np.ndarray, similarities: np.ndarray,
        about: dict[str, Any] | None = None) -> Calibration:
    """Fit the tables of all joints.

    Args:
        joints: Names of the K keypoints.
        heights: (N, K), of the heatmaps' maxima.
        similarities: (N, K), from 0 to 1 as :func:`similarities_of` gives them, NaN where a joint
            is not annotated.
        about: To be kept along.

    Raises:
        ValueError: If fewer than :data:`FEWEST` keypoints are annotated.
    """
    annotated = np.isfinite(similarities)
    if annotated.sum() < FEWEST:
        raise ValueError(f'calibration needs {FEWEST} annotated keypoints or more, got '
                         f'{annotated.sum()}')
    all_joints = _fit(heights[annotated], similarities[annotated])
    tables = [_fit(heights[its, joint], similarities[its, joint])
              if its.sum() >= FEWEST else all_joints for joint, its in enumerate(annotated.T)]
    return Calibration(joints, tuple(tables), about or {})


def _fit(heights: np.ndarray, similarities: np.ndarray) -> Knots:
    """Equally many keypoints behind each knot; isotonic; 0 where nothing was found."""
    order = np.argsort(heights, kind='stable')
    parts = np.array_split(order, min(KNOTS, len(order) // PER_KNOT))
    counts = np.array([len(part) for part in parts], float)
    columns = [heights, similarities >= TOLERANCE, similarities]
    # Single precision decides what is a different height: the engines' heights have no more.
    places, *values = (np.array([column[part].mean() for part in parts]) for column in columns)
    values = [isotonic_regression(value, weights=counts).x for value in values]
    distinct = np.diff(places.clip(0).astype(np.float32).round(4), prepend=0) > 0
    return Knots(*(np.concatenate([[0.], column[distinct]]) for column in (places, *values)))


def similarities_of(keypoints: np.ndarray, annotated: np.ndarray, visible: np.ndarray,
                    areas: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """COCO's similarity of each keypoint, whose mean over annotated joints is OKS.

    Shapes: keypoints and annotated (N, K, 2) in pixels of the image, visible (N, K), areas (N,)
    in square pixels, sigmas (K,) -> (N, K), NaN where a joint is not annotated.
    """
    squares = ((keypoints - annotated)**2).sum(-1)
    variances = (2 * sigmas)**2 * (areas[:, None] + np.spacing(1))
    return np.where(visible > 0, np.exp(-squares / (2 * variances)), np.nan)


def calibration_error(probabilities: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean distance between probability and share, over equally full
    bins (Nguyen & O'Connor, EMNLP 2015).

    Args:
        probabilities: (N,), from 0 to 1.
        right: (N,), whether each came true.
        bins: Their number.
    """
    order = np.argsort(probabilities, kind='stable')
    return float(sum(len(part) * abs(probabilities[part].mean() - right[part].mean())
                     for part in np.array_split(order, min(bins, len(order)))) / len(order))
