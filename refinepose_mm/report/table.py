"""Who is there and who was found: the arrays that everything else of a report is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

NOBODY = -1


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union (...) of boxes (..., 4): left, top, right, bottom."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    both = np.maximum(0, high - low).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (first, second)]
    return both / (areas[0] + areas[1] - both)


@dataclass
class Truth:
    """N annotated persons with K joints.

    Attributes:
        ids: Of the annotations.
        image: (N,), places in ``Table.images``.
        category: (N,), as numbered in the annotations.
        boxes: (N, 4), left, top, right, bottom in pixels.
        areas: (N,), in square pixels, by which OKS scales.
        joints: (N, K, 2), x and y in pixels.
        flags: (N, K), 0 where a joint is not labelled, 1 where it is hidden, 2 where it is seen.
        crowd: (N,), whether the annotation is of a crowd.
        ignored: (N,), whether AP leaves a person out: a crowd, or without joints.
    """

    ids: list[int]
    image: np.ndarray
    category: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    joints: np.ndarray
    flags: np.ndarray
    crowd: np.ndarray
    ignored: np.ndarray

    @property
    def labelled(self) -> np.ndarray:
        """(N, K), whether a joint has a place and counts; crowds have none that does."""
        return (self.flags > 0) & ~self.crowd[:, None]


@dataclass
class Found:
    """M persons that were predicted.

    Attributes:
        place: (M,), in the test data set.
        image: (M,), places in ``Table.images``.
        category: (M,), as numbered in the annotations.
        boxes: (M, 4), in which they were looked for: left, top, right, bottom in pixels.
        joints: (M, K, 2), x and y in pixels.
        scores: (M, K), of the joints.
        rank: (M,), scores by which AP ranks persons.
        kept: (M,), whether AP counts a person; the others were suppressed as doubles.
        centers: (M, 2), of the crops that the network saw, in pixels of the photo.
        scales: (M, 2), their width and height.
    """

    place: np.ndarray
    image: np.ndarray
    category: np.ndarray
    boxes: np.ndarray
    joints: np.ndarray
    scores: np.ndarray
    rank: np.ndarray
    kept: np.ndarray
    centers: np.ndarray
    scales: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """(M,), of the boxes in square pixels."""
        return (self.boxes[:, 2] - self.boxes[:, 0]) * (self.boxes[:, 3] - self.boxes[:, 1])


@dataclass
class Joints:
    """What is known of the K joints.

    Attributes:
        names: Theirs.
        mirror: (K,), the partner of each on the other side; its own place where it has none.
        sigmas: (K,), tolerances of OKS.
        links: Pairs of joints.
        colors: (K, 3), RGB.
        link_colors: Of each link, RGB.
    """

    names: list[str]
    mirror: np.ndarray
    sigmas: np.ndarray
    links: list[tuple[int, int]]
    colors: np.ndarray
    link_colors: np.ndarray


@dataclass
class Table:
    """The persons of a test set, and those that a model found.

    Attributes:
        images: Paths of the photos; None where the test data set has no person on one.
        names: Of the photos, for people.
        truth: The annotated persons.
        found: The predicted ones.
        match: (N,), for each annotated person the predicted one, or NOBODY.
        joints: What is known of the joints.
        detected: Whether boxes are a detector's.
    """

    images: list[Path | None]
    names: list[str]
    truth: Truth
    found: Found
    match: np.ndarray
    joints: Joints
    detected: bool

    def matched(self, values: np.ndarray, missing: float = np.nan) -> np.ndarray:
        """(N, ...), of the predicted person of each annotated one; `missing` where there is none.

        Args:
            values: (M, ...), of the predicted persons.
            missing: Stands where nobody was found.
        """
        result = np.full((len(self.match), *values.shape[1:]), missing, float)
        result[self.match >= 0] = values[self.match[self.match >= 0]]
        return result

    def person(self, number: int) -> str:
        """How people find an annotated person."""
        return f'{self.names[self.truth.image[number]]}, annotation {self.truth.ids[number]}'
