"""Which joints change places in a mirror: by their names, and by the data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from .findings import Finding
from .schema import Data

SIDES = (('left', 'right'), ('l', 'r'))
MIN_PERSONS = 20  # with fewer the data says nothing
SURE = 4.  # standard errors
# All of the following are shares of a person's size, the root of the box's area.
NEAR = .08  # how far a joint's mean may be from its mirrored partner's
APART = .04  # how far partners' means are from each other
MIDDLE = .025  # how far the mean of a joint without partner may be from the middle: LSP-Extended's
# neck and head top are .01 from it, of a pair the nearest is .031


class Pairs(NamedTuple):
    """Left and right by name.

    Attributes:
        pairs: Places of the left and of the right joint.
        lonely: Joints that name a side and have no partner.
    """

    pairs: list[tuple[int, int]]
    lonely: list[int]

    def swaps(self, num_joints: int) -> list[int]:
        """Of each joint the partner, or itself."""
        swap = list(range(num_joints))
        for left, right in self.pairs:
            swap[left], swap[right] = right, left
        return swap


def pairs_by_name(names: list[str], sides: tuple[str, str] | None = None) -> Pairs:
    """Find left and right in names: left_knee, LKnee, knee_l, leftknee, 'Knee (left)'.

    Args:
        names: Of the joints.
        sides: Further words for left and right, in lower case.
    """
    by_rest: dict[tuple, dict[int, list[int]]] = {}
    for joint, name in enumerate(names):
        for rest, side in _sides_in(name, (*((sides, ) if sides else ()), *SIDES)):
            by_rest.setdefault(rest, {}).setdefault(side, []).append(joint)
    pairs: list[tuple[int, int]] = []
    paired: set[int] = set()
    sided: set[int] = set()
    for found in by_rest.values():
        sided.update(joint for joints in found.values() for joint in joints)
        if [len(found.get(side, ())) for side in (0, 1)] == [1, 1]:
            pair = found[0][0], found[1][0]
            if not paired & set(pair):
                pairs.append(pair)
                paired.update(pair)
    return Pairs(sorted(pairs, key=min), sorted(sided - paired))


def pairs_of(data: Data, sides: tuple[str, str] | None = None) -> Pairs:
    """The partners that the data's own format names, or those by name."""
    return pairs_by_name(data.names, sides) if data.pairs is None else Pairs(data.pairs, [])


def _sides_in(name: str, sides: tuple[tuple[str, str], ...]) -> Iterator[tuple[tuple, int]]:
    """The rest of a name without its side, and the side: 0 left, 1 right; the first that fits."""
    words = [word.lower() for word in re.findall(
        r'[^\W\d_]?[^\W\dA-Z_]+|[A-Z]+(?![^\W\dA-Z_])|\d+', name)]
    for pair in sides:
        for side, word in enumerate(pair):
            if words.count(word) == 1:
                yield (pair, tuple('*' if part == word else part for part in words)), side
                return
            joined = name.lower()
            if len(word) > 1 and (joined.startswith(word) or joined.endswith(word)):
                rest = joined[len(word):] if joined.startswith(word) else joined[:-len(word)]
                yield (pair, ('*', rest)), side
                return


def normalised(data: Data) -> np.ndarray:
    """(M, K, 2), the joints of usable persons around their own mean, in shares of their size.

    The size is the root of the box's area. What is not labelled is NaN.
    """
    chosen = data.usable & (data.labelled.sum(1) > 1)
    places = np.where(data.labelled[chosen][..., None], data.joints[chosen][..., :2], np.nan)
    size = np.sqrt(data.boxes[chosen, 2] * data.boxes[chosen, 3])
    return (places - np.nanmean(places, 1, keepdims=True)) / size[:, None, None]


def pairs_by_data(places: np.ndarray) -> list[tuple[int, int]]:
    """Joints whose means change places when the mean pose is mirrored.

    Partners have the same height and the same distances to the other joints, and lie on two sides
    of the middle. Where persons are seen from all sides, means cancel and nothing is found.

    Args:
        places: (M, K, 2), of :func:`normalised`.
    """
    count = np.isfinite(places[..., 0]).sum(0)
    if not len(places) or count.min() < MIN_PERSONS:
        return []
    mean, spread = np.nanmean(places, 0), np.nanstd(places, 0)
    mean = mean - [np.median(mean[:, 0]), 0]
    error = spread[:, 0] / np.sqrt(count)
    mirrored = mean * [-1, 1]
    distance = np.array([[_mean_distance(places[:, a], places[:, b]) for b in range(len(mean))]
                         for a in range(len(mean))])
    profile = np.sort(distance, 1)
    cost = (np.linalg.norm(mirrored[:, None] - mean, axis=-1)
            + np.abs(profile[:, None] - profile).mean(-1))
    partner = linear_sum_assignment((cost + cost.T) / 2)[1]
    return [(a, b) for a, b in enumerate(partner)
            if a < b and partner[b] == a and cost[a, b] < NEAR
            and abs(mean[a, 0] - mean[b, 0]) > max(APART, SURE * np.hypot(error[a], error[b]))]


def _mean_distance(first: np.ndarray, second: np.ndarray) -> float:
    distances = np.linalg.norm(first - second, axis=-1)
    return float(np.nanmean(distances)) if np.isfinite(distances).any() else 0.


def exchanged(places: np.ndarray, pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs whose two names are exchanged, as the other pairs tell.

    A left wrist is nearer to the left elbow than to the right one, from wherever one looks. So
    each two pairs vote whether they agree; the first eigenvector of the votes parts them into two
    groups, and the smaller one is named.

    Args:
        places: (M, K, 2), of :func:`normalised`.
        pairs: Left and right by name.
    """
    votes = np.zeros((len(pairs), len(pairs)))
    for i, (left, right) in enumerate(pairs):
        for j, (other_left, other_right) in enumerate(pairs[:i]):
            straight = (np.linalg.norm(places[:, left] - places[:, other_left], axis=-1)
                        + np.linalg.norm(places[:, right] - places[:, other_right], axis=-1))
            crossed = (np.linalg.norm(places[:, left] - places[:, other_right], axis=-1)
                       + np.linalg.norm(places[:, right] - places[:, other_left], axis=-1))
            gain = (crossed - straight)[np.isfinite(crossed - straight)]
            if len(gain) >= MIN_PERSONS and abs(gain.mean()) > SURE * gain.std() / len(gain)**.5:
                votes[i, j] = votes[j, i] = gain.mean()
    if len(pairs) < 3 or not votes.any():
        return []
    side = np.linalg.eigh(votes)[1][:, -1]
    clear = np.abs(side) > .1 * np.abs(side).max()
    groups = [clear & (side < 0), clear & (side > 0)]
    smaller = min(groups, key=np.sum)
    return [pairs[index] for index in np.flatnonzero(smaller)]


def off_the_middle(places: np.ndarray, pairs: list[tuple[int, int]]) -> list[int]:
    """Joints without a partner that lie on one side of the middle between the pairs."""
    if not pairs or not len(places):
        return []
    ends = np.array(pairs)
    middle = _mean_of_known((places[:, ends[:, 0], 0] + places[:, ends[:, 1], 0]) / 2)
    found = []
    for joint in sorted(set(range(places.shape[1])) - set(ends.ravel().tolist())):
        offset = places[:, joint, 0] - middle
        offset = offset[np.isfinite(offset)]
        if (len(offset) >= MIN_PERSONS
                and abs(offset.mean()) > max(MIDDLE, SURE * offset.std() / len(offset)**.5)):
            found.append(joint)
    return found


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(1) / np.where(known.any(1), known.sum(1), np.nan)


def side_findings(data: Data, found: Pairs) -> list[Finding]:
    """What names and data say of left and right, and where they disagree."""
    kind, names = 'left and right', data.names

    def both(pairs: list[tuple[int, int]]) -> list[str]:
        return [f'{names[a] or a + 1} - {names[b] or b + 1}' for a, b in pairs]

    listed = [Finding(kind, 'joints change places in a mirror, by name', both(found.pairs),
                      len(names) // 2, note=True)]
    if not found.pairs:
        listed = [Finding(kind, 'no names of joints say left and right', [], note=True)]
    listed.append(Finding(kind, 'joints name a side and have no partner',
                          [names[joint] for joint in found.lonely], len(names)))
    places = normalised(data)
    by_data = pairs_by_data(places)
    swaps = found.swaps(len(names))
    if found.pairs:
        agreeing = sum(swaps[a] == b for a, b in by_data)
        listed += [
            Finding(kind, 'pairs lie on the other side than the rest, by the data: are their two '
                    'names exchanged?', both(exchanged(places, found.pairs)), len(found.pairs)),
            Finding(kind, 'the mirrored mean pose pairs other joints than the names', both(
                [(a, b) for a, b in by_data if swaps[a] != b]), len(by_data)),
            Finding(kind, 'joints without a partner lie on one side of the middle, by the data', [
                names[joint] for joint in off_the_middle(places, found.pairs)], len(names))]
        if by_data and agreeing == len(by_data):
            listed.append(Finding(kind, f'the mirrored mean pose finds {agreeing} of these pairs, '
                                  'and no other', [], note=True))
    elif by_data:
        listed.append(Finding(kind, 'the mirrored mean pose pairs joints that no name pairs; name '
                              'them left_ and right_ if a mirror exchanges them', both(by_data),
                              len(names) // 2))
    return [finding for finding in listed
            if finding.names or (finding.note and not finding.total)]
