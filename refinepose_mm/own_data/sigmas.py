"""How exactly each joint can be placed: the sigmas of OKS, for joints that nobody has measured.

COCO's are the deviations between people who labelled the same persons, as shares of the root of
the person's area. Where persons are annotated twice, ours are measured in the same way. Else a
rule has to do: joints that lie close together, as those of a face, are placed more exactly. On
1,354 persons of COCO val2017, .4 of the distance to the nearest joint meets COCO's 17 sigmas
within 21 % (root mean square of the logarithm .19); the factor was chosen on them. One sigma for
all has .53, and the spread of a joint around the middle of its person, whatever its factor, .35.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .schema import Data
from .symmetry import Pairs, normalised

# COCO: eyes .025, nose .026, hips .107; median of its 17.
SMALLEST, LARGEST, USUAL = .025, .107, .072
SHARE = .4  # of the distance to the nearest joint
ENOUGH = 10  # repeated annotations of a joint
SAME = .7  # overlap of two annotations of one person, of their boxes' union
NEAR = .15  # of the root of the area: the median distance of their joints, at most
COPY = 1e-12  # an annotation that repeats another one exactly was not made twice


class Sigmas(NamedTuple):
    """Sigma of each joint, and the sentence that says where they are from."""

    values: list[float]
    origin: str


def sigmas(data: Data, pairs: Pairs) -> Sigmas:
    """Sigmas of a data set, rounded to 3 digits; the two of a pair are equal.

    Where each joint is annotated twice for at least 10 persons: the root of half the mean square
    of the distance between the two, over the root of the area.
    Else: .4 of the joint's median distance to the joint that is nearest to it, as a share of the
    root of the box's area, within COCO's .025 to .107.
    """
    values = repeated(data)
    if values is not None:
        origin = 'measured: persons of this data set that were annotated more than once'
    else:
        values = by_distance(data)
        origin = ("by rule, not measured: .4 of the distance to the nearest joint, within COCO's "
                  '.025 to .107')
    for left, right in pairs.pairs:
        values[[left, right]] = values[[left, right]].mean()
    return Sigmas([round(float(value), 3) for value in values], origin)


def by_distance(data: Data) -> np.ndarray:
    """(K,), by the rule; COCO's median for a joint that is never seen together with another."""
    places = normalised(data)
    nearest = np.full(len(data.names), np.inf)
    for first in range(len(nearest)):
        for second in range(first):
            distance = np.linalg.norm(places[:, first] - places[:, second], axis=-1)
            if np.isfinite(distance).any():
                typical = np.nanmedian(distance)
                nearest[[first, second]] = np.minimum(nearest[[first, second]], typical)
    return np.where(np.isfinite(nearest), np.clip(SHARE * nearest, SMALLEST, LARGEST), USUAL)


def repeated(data: Data) -> np.ndarray | None:
    """(K,), measured on pairs of annotations of one person; None if there are too few.

    Two annotations are of one person if their boxes overlap by 0.7 of their union, more joints are
    labelled by both than by one alone, and most of these are near to each other.
    """
    squares: list[list[float]] = [[] for _ in data.names]
    usable, labelled = data.usable, data.labelled
    by_photo: dict[int, list[int]] = {}
    for person in np.flatnonzero(usable):
        by_photo.setdefault(int(data.photo_of[person]), []).append(int(person))
    for persons in by_photo.values():
        for index, first in enumerate(persons):
            for second in persons[index + 1:]:
                both = labelled[first] & labelled[second]
                if (both.sum() <= (labelled[first] ^ labelled[second]).sum()
                        or _overlap(data.boxes[first], data.boxes[second]) < SAME):
                    continue
                area = (_area(data, first) + _area(data, second)) / 2
                apart = data.joints[first, :, :2] - data.joints[second, :, :2]
                square = (apart**2).sum(-1) / area
                if COPY < np.median(square[both]) <= NEAR**2:
                    for joint in np.flatnonzero(both):
                        squares[joint].append(float(square[joint] / 2))
    if min(map(len, squares), default=0) < ENOUGH:
        return None
    return np.sqrt([np.mean(values) for values in squares])


def _area(data: Data, person: int) -> float:
    width, height = data.boxes[person, 2:]
    return data.areas[person] if data.areas[person] > 0 else float(width * height)


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    low = np.maximum(first[:2], second[:2])
    high = np.minimum(first[:2] + first[2:], second[:2] + second[2:])
    common = np.prod(np.clip(high - low, 0, None))
    return float(common / (first[2] * first[3] + second[2] * second[3] - common))
