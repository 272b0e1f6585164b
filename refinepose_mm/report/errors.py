"""What goes wrong, by kind, and what each kind costs (Ronchi & Perona, ICCV 2017).

With ks, the similarity of a single joint that OKS averages, a predicted joint is

- good: ks with its place is .85 or more;
- a jitter: it is .5 or more, near and not exact;
- an inversion: less, and ks with the place of its mirror partner, of the same person, is .5 or
  more;
- a swap: less, and ks with that joint or its partner of another person is .5 or more;
- a miss: less, and it is near none of these;
- not found: nobody was found where its person is.

Where a skeleton has no mirror partners, there are no inversions. What a kind costs is what the
score gains if its joints are moved to their places, while persons keep their ranks.
"""

from __future__ import annotations

from typing import Callable, NamedTuple

import numpy as np

from .metrics import Measure
from .precision import average_precision, similarity
from .table import Table

GOOD, JITTER, INVERSION, SWAP, MISS, NOT_FOUND = range(6)
NAMES = ('good', 'jitter', 'inversion', 'swap', 'miss', 'not found')
NOT_LABELLED = -1
EXACT, NEAR = .85, .5
ORDER = (MISS, SWAP, INVERSION, JITTER)  # in which they are corrected, one after the other


def kinds(table: Table) -> np.ndarray:
    """(N, K), the kind of each labelled joint, or NOT_LABELLED."""
    truth, joints = table.truth, table.joints
    found = table.matched(table.found.joints)
    labelled = truth.labelled & ~truth.ignored[:, None]
    own = similarity(found, truth.joints, truth.areas, joints.sigmas)
    partner = joints.mirror
    paired = partner != np.arange(len(partner))
    sides = np.where(labelled[:, partner] & paired, similarity(
        found, truth.joints[:, partner], truth.areas, joints.sigmas[partner]), 0)
    result = np.select([own >= EXACT, own >= NEAR, sides >= NEAR, _others(table, found) >= NEAR],
                       [GOOD, JITTER, INVERSION, SWAP], MISS)
    result[table.match < 0] = NOT_FOUND
    return np.where(labelled, result, NOT_LABELLED)


def _others(table: Table, found: np.ndarray) -> np.ndarray:
    """(N, K), the highest ks with the same joint, or its partner, of another person of the
    photo."""
    truth, joints = table.truth, table.joints
    highest = np.zeros(found.shape[:2])
    order = np.argsort(truth.image, kind='stable')
    for rows in np.split(order, np.flatnonzero(np.diff(truth.image[order])) + 1):
        for person in rows if len(rows) > 1 else ():
            others = rows[rows != person]
            for partner in (np.arange(len(joints.mirror)), joints.mirror):
                near = similarity(found[person], truth.joints[others][:, partner],
                                  truth.areas[others], joints.sigmas[partner])
                near = np.where(truth.labelled[others][:, partner], near, 0)
                highest[person] = np.maximum(highest[person], near.max(0))
    return highest


class Costs(NamedTuple):
    """What errors cost.

    Attributes:
        score: Name of what is counted, AP or PCK.
        now: Its value.
        steps: (name, gain), if the kinds of ORDER are corrected one after the other; with `now`
            and `rest` they add up to 1.
        rest: What is missing then: order of the persons, persons not found, and ones too many; of
            PCK, joints that are good and yet not right.
        alone: Kind -> gain if only this kind is corrected.
        by_joint: (K, len(ORDER)), gain if only this kind of this joint is.
    """

    score: str
    now: float
    steps: list[tuple[str, float]]
    rest: float
    alone: dict[str, float]
    by_joint: np.ndarray


def corrected(table: Table, wrong: np.ndarray) -> np.ndarray:
    """(M, K, 2), the predicted joints, with some of the matched ones moved to their places.

    Args:
        table: Truth and predictions.
        wrong: (N, K), which joints to move.
    """
    joints = table.found.joints.copy()
    persons = np.flatnonzero(table.match >= 0)
    rows = table.match[persons]
    joints[rows] = np.where(wrong[persons][..., None], table.truth.joints[persons], joints[rows])
    return joints


def costs(table: Table, kind: np.ndarray, by: Measure, has_ap: bool) -> Costs:
    """Correct, and evaluate again.

    Args:
        table: Truth and predictions.
        kind: (N, K), of :func:`kinds`.
        by: When a joint is right, where there is no AP.
        has_ap: Whether AP is counted, or the share of right joints.
    """
    def precision(wrong: np.ndarray) -> float:
        return average_precision(table, corrected(table, wrong))

    def share(wrong: np.ndarray) -> float:
        return float((by.right | (wrong & by.counted)).sum() / by.counted.sum())

    score: Callable[[np.ndarray], float] = precision if has_ap else share
    now = score(np.zeros(kind.shape, bool))
    steps, last = [], now
    for number, one in enumerate(ORDER, 1):
        value = score(np.isin(kind, ORDER[:number]))
        steps.append((NAMES[one], value - last))
        last = value
    alone = {NAMES[one]: score(kind == one) - now for one in ORDER}
    places = np.arange(kind.shape[1])
    by_joint = np.array([[score((kind == one) & (places == joint)) - now
                          if ((kind == one) & (places == joint)).any() else 0.
                          for one in ORDER] for joint in places])
    return Costs('AP' if has_ap else by.name, now, steps, 1 - last, alone, by_joint)
