"""Kinds of errors and what they cost, where both are known by construction."""

from __future__ import annotations

import numpy as np
import planted_errors
import pytest
from planted_errors import FAR, PLACES

from refinepose_mm.report.errors import (
    GOOD,
    INVERSION,
    JITTER,
    MISS,
    NOT_LABELLED,
    SWAP,
    corrected,
    costs,
    kinds,
)
from refinepose_mm.report.metrics import Measure
from refinepose_mm.report.precision import average_precision


def measure(table, share=.1):
    distances = np.linalg.norm(table.matched(table.found.joints) - table.truth.joints, axis=-1)
    distances = np.nan_to_num(distances / 100, nan=np.inf)
    return Measure(share, 'bbox', np.where(table.truth.flags > 0, distances, np.nan))


def test_each_kind_is_found_where_it_was_planted():
    table, expected = planted_errors.one_of_each()
    np.testing.assert_array_equal(kinds(table), expected)


def test_what_is_not_labelled_has_no_kind_and_confuses_nobody():
    table, expected = planted_errors.one_of_each()
    table.truth.flags[0, 2] = 0  # the place of the first one's left hand
    expected[0, 2] = NOT_LABELLED
    expected[0, 1] = MISS
    np.testing.assert_array_equal(kinds(table), expected)


def test_without_partners_there_are_no_inversions():
    table, expected = planted_errors.one_of_each()
    table.joints.mirror[:] = np.arange(5)
    expected[0, [1, 2]] = MISS
    expected[1, 4] = MISS  # it lies on another joint of the other person
    np.testing.assert_array_equal(kinds(table), expected)


@pytest.mark.parametrize(('pixels', 'kind'), [
    (.56, GOOD), (.58, JITTER), (1.17, JITTER), (1.18, MISS)])
def test_the_borders_are_those_of_the_paper(pixels, kind):
    """exp(-.57**2 / 2) = .85 and exp(-1.177**2 / 2) = .5."""
    found = np.array([PLACES])
    found[0, 0] += [0, pixels * FAR]
    assert kinds(planted_errors.table([PLACES], found))[0, 0] == kind


def test_corrected_joints_are_on_their_places_and_others_stay():
    table, kind = planted_errors.one_of_each()
    joints = corrected(table, kind == INVERSION)
    np.testing.assert_array_equal(joints[0], table.truth.joints[0])
    np.testing.assert_array_equal(joints[1:], table.found.joints[1:])


def test_costs_add_up_to_one():
    table, kind = planted_errors.one_of_each()
    found = costs(table, kind, measure(table), has_ap=True)
    assert found.score == 'AP' and found.now == pytest.approx(average_precision(table))
    assert found.now + sum(gain for _, gain in found.steps) + found.rest == pytest.approx(1)
    # Three of four persons are found, and are perfect in the end.
    assert 1 - found.rest == pytest.approx(average_precision(table, table.truth.joints[:3]))
    assert .7 < 1 - found.rest < .8


def test_a_kind_costs_what_its_joints_take_away():
    """Ten persons, one a photo; one has both hands exchanged: OKS .6 instead of 1."""
    found = np.array([PLACES] * 10)
    found[9, [1, 2]] = PLACES[[2, 1]]
    table = planted_errors.table([PLACES] * 10, found)
    result = costs(table, kinds(table), measure(table), has_ap=True)
    # Ranked last, it is right at .5, .55 and .6: of ten levels, 7 lose a tenth of the recalls.
    hidden = 1 - 91 / 101  # of the 101 recalls, 0 to .9 are reached
    assert result.now == pytest.approx(1 - .7 * hidden)
    assert result.alone == pytest.approx(
        dict(inversion=.7 * hidden, jitter=0, swap=0, miss=0), abs=1e-9)
    names = [name for name, _ in result.steps]
    # One hand alone: .8 instead of .6, right at .65 to .8, too.
    np.testing.assert_allclose(result.by_joint[:, names.index('inversion')],
                               [0, .4 * hidden, .4 * hidden, 0, 0], atol=1e-9)


def test_without_ap_costs_are_shares_of_joints():
    table, kind = planted_errors.one_of_each()
    found = costs(table, kind, measure(table), has_ap=False)
    assert found.score == 'PCK@0.1'
    # Of 20 joints 5 are not found and 5 too far; the jitter is within a tenth.
    assert found.now == pytest.approx(10 / 20)
    assert found.alone == pytest.approx(
        dict(miss=1 / 20, swap=2 / 20, inversion=2 / 20, jitter=0))
    assert found.rest == pytest.approx(5 / 20)
    assert (SWAP, JITTER) == (3, 1)
