"""Intervals hold what they should, as often as they should."""

from __future__ import annotations

import numpy as np
import planted_errors
import pytest
from planted_errors import PLACES
from test_errors import measure

from refinepose_mm.report.errors import kinds
from refinepose_mm.report.metrics import overall, per_joint, per_visibility
from refinepose_mm.report.reliability import reliability
from refinepose_mm.report.resampling import draw, figure, rates


def people(count, right, seed=0, images=None):
    """Persons whose joints are right with a probability (of each person, if it is an array)."""
    rng = np.random.default_rng(seed)
    wrong = rng.random((count, 5)) >= np.broadcast_to(right, count)[:, None]
    places = np.array([PLACES] * count)
    return planted_errors.table(places, places + 30. * wrong[..., None], images=images)


def test_the_interval_holds_the_truth_in_about_95_of_100():
    """Persons of one photo succeed together, so that counting joints alone would be too sure."""
    held, narrow, times = 0, 0, 200
    for seed in range(times):
        rng = np.random.default_rng(seed)
        chance = np.repeat(rng.choice([.3, .9], 40), 2)  # two persons on each of 40 photos
        table = people(80, chance, seed + 1000, np.repeat(np.arange(40), 2))
        by = measure(table)
        share = overall(table, by, draw(40, 300, seed)).share
        held += share.low <= .6 <= share.high
        error = 1.96 * (share.value * (1 - share.value) / 400)**.5  # of independent joints
        narrow += abs(share.value - .6) <= error
    assert .90 <= held / times <= .98
    assert narrow / times < .85


def test_parts_count_what_they_should():
    table = people(30, .5)
    table.truth.flags[:, 0] = 0
    table.truth.flags[::2, 1] = 1
    by, drawn = measure(table), draw(30, 50)
    assert [part.name for part in per_joint(table, by, drawn)] == planted_errors.NAMES[1:]
    for part, joint in zip(per_joint(table, by, drawn), range(1, 5)):
        assert part.count == 30
        assert part.share.value == pytest.approx(by.right[:, joint].mean())
        assert part.share.low <= part.share.value <= part.share.high
    seen, hidden = per_visibility(table, by, drawn)
    assert (seen.count, hidden.count) == (105, 15)
    assert hidden.share.value == pytest.approx(by.right[::2, 1].mean())
    table.truth.flags[table.truth.flags == 1] = 2
    assert per_visibility(table, measure(table), drawn) == []


def test_persons_who_were_not_found_are_wrong():
    table, _ = planted_errors.one_of_each()
    by = measure(table)
    assert not by.right[3].any() and by.counted[3].all()


def test_rates_and_figures():
    found = rates(np.array([[1, 0], [1, 1]], bool), np.array([[1, 1], [1, 0]], bool),
                  np.array([0, 1]), np.array([[1, 1], [2, 0], [0, 2]], np.float32))
    np.testing.assert_allclose(found.values, [1, 0])
    np.testing.assert_allclose(found.resampled, [[1, 0], [1, 0], [1, np.nan]])
    assert figure(.5, np.full(5, np.nan)) == pytest.approx((.5, np.nan, np.nan), nan_ok=True)
    assert figure(.5, np.linspace(0, 1, 1001)) == pytest.approx((.5, .025, .975))


def test_scores_that_are_chances_have_no_error_and_others_have():
    count = 2000
    rng = np.random.default_rng(0)
    chance = rng.uniform(.05, .95, (count, 5))
    places = np.array([PLACES] * count)
    wrong = rng.random((count, 5)) >= chance
    table = planted_errors.table(places, places + 30. * wrong[..., None], scores=chance)
    kind, drawn = kinds(table), draw(count, 20)
    found = reliability(table, kind, drawn)
    assert found.error < .02
    assert [one.right.value for one in found.bins] == pytest.approx(
        [one.score for one in found.bins], abs=.05)
    assert sum(one.count for one in found.bins) == 5 * count
    assert len(found.bins) == 10
    assert all(one.low <= one.score <= one.high for one in found.bins)
    table.found.scores[:] = chance / 2
    halved = reliability(table, kind, drawn)
    assert halved.error == pytest.approx(.25, abs=.01)
    assert halved.order == pytest.approx(found.order) and .75 < found.order < .9
    table.found.scores[:] = 1
    assert reliability(table, kind, drawn) is None
