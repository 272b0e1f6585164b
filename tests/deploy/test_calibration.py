"""Peak heights become probabilities, and what files say of that is checked."""

import copy
import json

import numpy as np
import pytest

from refinepose_mm.coco import COCO, COCOeval
from refinepose_mm.deploy.calibration import (
    FEWEST,
    KNOTS,
    calibration_error,
    fit,
    from_dict,
    from_text,
    similarities_of,
)

JOINTS = ('nose', 'hip')


@pytest.fixture(scope='module')
def persons():
    """Heights, and similarities: a keypoint of height h is right with probability h or h^2."""
    rng = np.random.default_rng(0)
    heights = rng.uniform(.05, 1, (4000, 2))
    right = rng.uniform(size=heights.shape) < heights**[1, 2]
    return heights, np.where(right, .9, .1)


@pytest.fixture(scope='module')
def calibration(persons):
    return fit(JOINTS, *persons, dict(source='made up'))


def test_probabilities_are_found_for_each_joint(calibration):
    heights = np.linspace(.1, .95, 30)[:, None].repeat(2, 1)
    found = calibration.probabilities(heights)
    assert np.abs(found - heights**[1, 2]).max() < .06  # 16 knots of 250 persons
    assert (np.diff(found, axis=0) >= 0).all()
    assert all(len(knots.heights) == KNOTS + 1 for knots in calibration.knots)
    expected = calibration.expected_oks(heights)
    np.testing.assert_allclose(expected, (.1 + .8 * found).mean(1), atol=.005)


def test_where_nothing_was_found_the_probability_is_zero(calibration):
    assert calibration.probabilities(np.zeros((1, 2))).tolist() == [[0, 0]]
    assert calibration.probabilities(np.full((1, 2), -1.)).tolist() == [[0, 0]]
    high = calibration.probabilities(np.array([[1, 9.]]))[0, 1]
    assert high == pytest.approx(calibration.knots[1].right[-1])  # and no more beyond


def test_a_joint_that_is_seldom_annotated_takes_the_table_of_all(persons):
    heights, similarities = persons
    similarities = similarities.copy()
    similarities[FEWEST - 1:, 1] = np.nan
    first, second = fit(JOINTS, heights, similarities).knots
    assert second.heights[1] != first.heights[1]
    assert abs(np.interp(.5, second.heights, second.right) - .5) < .06  # of 4000 and 99
    similarities[:] = np.nan
    with pytest.raises(ValueError, match='needs 100 annotated keypoints or more, got 0'):
        fit(JOINTS, heights, similarities)


def test_equal_heights_share_a_knot():
    heights = np.full((400, 1), .5)
    knots, = fit(('nose', ), heights, np.ones((400, 1))).knots
    assert knots.heights.tolist() == [0, .5] and knots.right.tolist() == [0, 1]


def test_similarities_are_those_of_coco():
    rng = np.random.default_rng(1)
    annotated, found = rng.uniform(0, 100, (2, 1, 17, 2))
    found[0] = annotated[0] + rng.normal(0, 4, (17, 2))
    visible = np.array([[2.] * 9 + [1.] * 4 + [0.] * 4])
    sigmas = np.linspace(.03, .1, 17)

    def listed(points, visible):
        return np.concatenate([points, visible[..., None]], -1)[0].flatten().tolist()

    image, person = dict(id=1), dict(id=1, image_id=1, category_id=1)
    truth = COCO()
    truth.dataset = dict(info={}, images=[image], categories=[dict(id=1)], annotations=[dict(
        person, bbox=[0, 0, 100, 100], area=4000, iscrowd=0, num_keypoints=13,
        keypoints=listed(annotated, visible))])
    truth.createIndex()
    results = truth.loadRes([dict(image_id=1, category_id=1, score=1,
                                  keypoints=listed(found, np.ones((1, 17))))])
    evaluation = COCOeval(truth, results, sigmas=sigmas)
    evaluation.evaluate()
    ours = similarities_of(found, annotated, visible, np.array([4000.]), sigmas)
    assert np.isnan(ours[0, 13:]).all() and ours[0, :13].std() > .1
    assert np.nanmean(ours) == pytest.approx(evaluation.ious[1, 1][0, 0], abs=1e-9)


def test_calibration_error_is_a_distance_in_bins():
    probabilities = np.repeat([.2, .8], 50)
    right = np.concatenate([np.arange(50) < 10, np.arange(50) < 25])  # .2 and .5
    assert calibration_error(probabilities, right, 2) == pytest.approx(.15)
    assert calibration_error(probabilities[:50], right[:50], 1) == pytest.approx(0)


def test_files_keep_it_to_four_digits(calibration, persons):
    again = from_text(json.dumps(calibration.to_dict()), 'a.pth')
    assert again.joints == JOINTS and again.about == dict(source='made up')
    for ours, theirs in ((calibration.probabilities, again.probabilities),
                         (calibration.expected_oks, again.expected_oks)):
        np.testing.assert_allclose(ours(persons[0]), theirs(persons[0]), atol=2e-3)


def test_damaged_ones_are_refused(calibration):
    good = calibration.to_dict()
    for text in ('', '[', '3', '{}', 'null', '{"joints": {}}', '{"joints": {"nose": 1}}'):
        with pytest.raises(ValueError, match='the calibration in a.pth is damaged'):
            from_text(text, 'a.pth')
    for column, values in (('right', [.5, .4]), ('right', [.5]), ('oks', [0, 2]),
                           ('oks', [-1, 0]), ('heights', [1, 1]), ('heights', [0, 'x']),
                           ('right', [0, float('nan')])):
        bad = copy.deepcopy(good)
        bad['joints']['hip'] = dict(heights=[0, 1], right=[0, 1], oks=[0, 1], **{})
        from_dict(bad, 'a.pth')
        bad['joints']['hip'][column] = values
        with pytest.raises(ValueError, match='damaged'):
            from_dict(bad, 'a.pth')


def test_other_joints_are_refused(calibration):
    calibration.require_joints(JOINTS, 'a.pth')
    with pytest.raises(ValueError, match='a.pth is calibrated for 2 joints, the config has 3'):
        calibration.require_joints((*JOINTS, 'knee'), 'a.pth')
    with pytest.raises(ValueError, match="it has 'hip' where the config has 'knee'"):
        calibration.require_joints(('nose', 'knee'), 'a.pth')
