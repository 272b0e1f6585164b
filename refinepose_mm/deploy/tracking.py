"""Identities: who of a frame is who of the frames before.

Persons are where they would be by now at the speed they had. The likeness of such a person and a
found one is the mean of the overlap of their boxes (IoU) and of the likeness of their poses (OKS);
the Hungarian method pairs them so that the sum is largest. Boxes tell apart who stands apart, and
poses who overlaps. Who is not seen is waited for, with wider tolerance as time goes by.

Libraries were looked at first (November 2026): norfair 2.3 asks for numpy below 2 and for filterpy,
which had its last release in 2018; supervision 0.31 has no tracker any more, and ``trackers`` 2.6
asks for a second OpenCV beside the headless one and for numpy 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from scipy.optimize import linear_sum_assignment

from .poses import Poses

PATIENCE = 2.  # seconds that somebody is waited for
LEAST = .08  # likeness of a pair
DOUBT = .2  # seconds in which the tolerance of a pose grows by itself
SPEED_GAIN = .25  # of a new speed in the mean
BODY_SHARE = .53  # of a box's area that a body fills, as in COCO's evaluation of boxes


@dataclass
class _Person:
    """Somebody who was seen.

    Attributes:
        keypoints: (K, 2), when last seen.
        scores: (K,).
        box: (4,).
        time: When last seen, in seconds.
        velocity: (2,), pixels per second.
        times_seen: In how many frames.
    """

    identity: int
    keypoints: np.ndarray
    scores: np.ndarray
    box: np.ndarray
    time: float
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    times_seen: int = 1

    def see(self, keypoints: np.ndarray, scores: np.ndarray, box: np.ndarray, time: float) -> None:
        """Take over where the person is now."""
        weights = np.sqrt(self.scores.clip(0) * scores.clip(0))
        moved = (keypoints - self.keypoints)[weights >= np.median(weights)]
        velocity = np.median(moved, axis=0) / max(time - self.time, 1e-3)
        gain = max(SPEED_GAIN, 1 / self.times_seen)
        self.velocity = self.velocity + gain * (velocity - self.velocity)
        self.keypoints, self.scores, self.box, self.time = keypoints, scores, box, time
        self.times_seen += 1


class Tracker:
    """Gives the persons of each frame identities, integers from 1.

    Args:
        sigmas: (K,), of the joints, as COCO has them.
        patience: Seconds that somebody who is not seen keeps the identity.
    """

    def __init__(self, sigmas: np.ndarray, patience: float = PATIENCE):
        self.sigmas, self.patience = np.asarray(sigmas), patience
        self.persons: list[_Person] = []
        self.count = 0

    def __call__(self, poses: Poses, time: Fraction | float) -> np.ndarray:
        """Identities (N,) of the next frame's persons.

        Args:
            poses: With boxes.
            time: Of the frame, in seconds.
        """
        time = float(time)  # numpy makes objects of fractions
        self.persons = [person for person in self.persons
                        if time - person.time <= self.patience]
        likeness = np.array([self._likeness(person, poses, time) for person in self.persons])
        identities = np.zeros(len(poses.scores), int)
        if likeness.size:
            for row, column in zip(*linear_sum_assignment(likeness, maximize=True)):
                if likeness[row, column] >= LEAST:
                    person = self.persons[row]
                    person.see(*_of(poses, column), time)
                    identities[column] = person.identity
        for column in np.flatnonzero(identities == 0):
            self.count += 1
            identities[column] = self.count
            self.persons.append(_Person(self.count, *_of(poses, column), time))
        return identities

    def _likeness(self, person: _Person, poses: Poses, time: float) -> np.ndarray:
        """Of a person and each found one, (N,), 0 to 1."""
        passed = time - person.time
        shift = person.velocity * passed
        box = person.box + np.tile(shift, 2)
        areas = (_area(box) + _area(poses.boxes)) / 2 * BODY_SHARE
        weights = np.sqrt(person.scores.clip(0) * poses.scores.clip(0))  # (N, K)
        squared = ((person.keypoints + shift - poses.keypoints)**2).sum(-1)
        tolerance = (2 * self.sigmas * (1 + max(passed, 0) / DOUBT))**2
        near = np.exp(-squared / (2 * areas[:, None] * tolerance))
        oks = (weights * near).sum(1) / np.maximum(weights.sum(1), 1e-9)
        return (overlaps(box, poses.boxes) + oks) / 2


def _of(poses: Poses, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return poses.keypoints[number], poses.scores[number], poses.boxes[number].astype(float)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union (N,) of a box (4,) with others (N, 4)."""
    sizes = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    both = sizes.clip(0).prod(1)
    return both / (_area(box) + _area(boxes) - both)
