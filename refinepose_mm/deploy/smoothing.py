"""Keypoints that do not tremble: the One-Euro filter, for each identity.

Casiez, Roussel, Vogel: *1 € Filter* (CHI 2012): a low-pass filter whose cutoff frequency rises with
the speed, so that what rests is calm and what moves is not late. Here speeds are in body sizes per
second, so that settings do not depend on pixels, and a keypoint with a lower score than it usually
has moves less.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .poses import Poses

CUTOFF = 1.5  # Hz, at rest
CUTOFF_BY_SPEED = 6.  # Hz for each body size per second
SPEED_CUTOFF = 1.  # Hz, of the speed itself
FORGET = .5  # seconds without the person after which the filter begins anew
SCORE_GAIN = .1  # of a new score in the usual one
SHORTEST = 1e-3  # seconds between frames; damaged clocks may stand


@dataclass
class _State:
    """What is known of a person: keypoints (K, 2), speeds (K, 2), usual scores (K,), time."""

    keypoints: np.ndarray
    speeds: np.ndarray
    scores: np.ndarray
    time: float


class Smoother:
    """Smooths the keypoints of each identity over the frames of a video."""

    def __init__(self) -> None:
        self.states: dict[int, _State] = {}

    def __call__(self, poses: Poses, time: Fraction | float) -> np.ndarray:
        """Smoothed keypoints (N, K, 2).

        Args:
            poses: Of the next frame, with boxes. Without identities the first is always the same
                person, and so on.
            time: Of the frame, in seconds.
        """
        time = float(time)  # numpy makes objects of fractions
        identities = (range(len(poses.scores)) if poses.identities is None else
                      poses.identities.tolist())
        self.states = {identity: state for identity, state in self.states.items()
                       if time - state.time <= FORGET}
        smooth = poses.keypoints.copy()
        for number, identity in enumerate(identities):
            keypoints, scores = poses.keypoints[number], poses.scores[number].clip(0)
            state = self.states.get(identity)
            if state is None:
                self.states[identity] = _State(keypoints, np.zeros_like(keypoints), scores, time)
                continue
            left, top, right, bottom = poses.boxes[number]
            size = float(np.sqrt((right - left) * (bottom - top)))
            passed = max(time - state.time, SHORTEST)
            moved = keypoints - state.keypoints
            state.speeds = state.speeds + _gain(SPEED_CUTOFF, passed) * (
                moved / size / passed - state.speeds)
            speed = np.linalg.norm(state.speeds, axis=1, keepdims=True)
            trust = np.minimum(1, scores / np.maximum(state.scores, 1e-9))[:, None]
            gain = trust * _gain(CUTOFF + CUTOFF_BY_SPEED * speed, passed)
            state.keypoints = state.keypoints + gain * moved
            state.scores = state.scores + SCORE_GAIN * (scores - state.scores)
            state.time = time
            smooth[number] = state.keypoints
        return smooth


def _gain(cutoff: np.ndarray | float, passed: float) -> np.ndarray | float:
    """Share of a new value that passes, for a cutoff in Hz."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * passed))
