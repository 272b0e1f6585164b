"""Persons and predictions whose errors are known, because they were put there."""

from __future__ import annotations

import numpy as np

from refinepose_mm.report.errors import GOOD, INVERSION, JITTER, MISS, NOT_FOUND, SWAP
from refinepose_mm.report.table import NOBODY, Found, Joints, Table, Truth

NAMES = ['nose', 'left_hand', 'right_hand', 'left_foot', 'right_foot']
MIRROR = np.array([0, 2, 1, 4, 3])
SIGMA, AREA = .05, 100. * 100
# A joint that is this many pixels away has a similarity of exp(-(pixels / 10)**2 / 2).
FAR = 10.
PLACES = np.array([[50, 10], [10, 50], [90, 50], [30, 90], [70, 90]], float)


def joints(names=NAMES, mirror=MIRROR, sigma=SIGMA) -> Joints:
    count = len(names)
    return Joints(list(names), np.array(mirror), np.full(count, sigma), [(0, 1)],
                  np.zeros((count, 3), int), np.zeros((1, 3), int))


def table(places, found, images=None, flags=None, match=None, scores=None, rank=None,
          kept=None, names=NAMES, mirror=MIRROR, detected=False) -> Table:
    """A table of persons (N, K, 2) and predictions (M, K, 2)."""
    places, found = np.asarray(places, float), np.asarray(found, float)
    count = len(places)
    images = np.arange(count) if images is None else np.asarray(images)
    match = np.arange(count) if match is None else np.asarray(match)
    of = np.zeros(len(found), int)
    of[match[match >= 0]] = images[match >= 0]
    boxes = np.hstack([places.min(1) - 10, places.max(1) + 10])
    flags = np.full(places.shape[:2], 2) if flags is None else np.asarray(flags)
    truth = Truth(list(range(1, count + 1)), images, np.ones(count, int), boxes,
                  np.full(count, AREA), places, flags, np.zeros(count, bool),
                  ~(flags > 0).any(1))
    size = len(found)
    predictions = Found(
        np.arange(size), of, np.ones(size, int),
        np.hstack([found.min(1) - 10, found.max(1) + 10]), found,
        np.full(found.shape[:2], .5) if scores is None else np.asarray(scores),
        np.linspace(.9, .5, size) if rank is None else np.asarray(rank),
        np.ones(size, bool) if kept is None else np.asarray(kept), found.mean(1),
        np.full((size, 2), 150.))
    number = images.max() + 1
    return Table([None] * number, [f'{image}.jpg' for image in range(number)], truth, predictions,
                 match, joints(names, mirror), detected)


def one_of_each() -> tuple[Table, np.ndarray]:
    """Four persons on two photos, and the kind of each joint.

    The first two stand together: one's hands are exchanged, the other's foot is on the first one's.
    The third has a jitter and a miss; nobody found the fourth.
    """
    places = np.array([PLACES, PLACES + [200, 0], PLACES, PLACES + [200, 0]])
    found = places[:3].copy()
    kinds = np.full((4, 5), GOOD)
    found[0, [1, 2]] = places[0, [2, 1]]
    kinds[0, [1, 2]] = INVERSION
    found[1, 3] = places[0, 3]
    kinds[1, 3] = SWAP
    found[1, 4] = places[0, 3]  # on the partner of that joint, of the other person
    kinds[1, 4] = SWAP
    found[2, 0] += [.8 * FAR, 0]  # similarity .73
    kinds[2, 0] = JITTER
    found[2, 3] += [0, 6 * FAR]
    kinds[2, 3] = MISS
    found[2, 1] += [.5 * FAR, 0]  # .88: good
    kinds[3] = NOT_FOUND
    return table(places, found, images=[0, 0, 1, 1], match=[0, 1, 2, NOBODY]), kinds
