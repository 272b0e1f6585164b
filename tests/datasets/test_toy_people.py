"""The toy people's annotations are exact: they are what the pictures were drawn from."""

import json

import cv2
import numpy as np
import pytest
from mmpose.datasets import CocoDataset
from mmpose.evaluation import CocoMetric
from xtcocotools.coco import COCO

from refinepose_mm.datasets import toy_people
from refinepose_mm.datasets.toy_figure import KEYPOINTS, owner_id, random_figure


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp('toy')
    toy_people.generate(root, num_train=30, num_val=2)
    return root


@pytest.fixture(scope='module')
def people(toy):
    return json.loads((toy / 'annotations/person_keypoints_train.json').read_text())


def keypoints_of(person):
    return np.reshape(person['keypoints'], (17, 3))


def test_the_same_seed_draws_the_same_pixels(toy, tmp_path):
    toy_people.generate(tmp_path / 'same', num_train=3, num_val=2)
    toy_people.generate(tmp_path / 'other', num_train=3, num_val=2, seed=1)
    name = 'train/000000000002.jpg'
    # More images of the same seed begin with the same ones.
    assert (tmp_path / 'same' / name).read_bytes() == (toy / name).read_bytes()
    assert (tmp_path / 'other' / name).read_bytes() != (toy / name).read_bytes()
    assert (toy / 'val/000000000001.jpg').read_bytes() != (
        toy / 'train/000000000001.jpg').read_bytes()


def test_what_is_there_is_kept_and_what_is_half_there_drawn_anew(tmp_path):
    toy_people.generate(tmp_path, num_train=2, num_val=1)
    picture = tmp_path / 'train/000000000001.jpg'
    drawn = picture.stat().st_mtime_ns
    toy_people.generate(tmp_path, num_train=2, num_val=1)
    assert picture.stat().st_mtime_ns == drawn
    (tmp_path / toy_people.SPEC).write_text('')  # as an interrupted run leaves it
    picture.unlink()
    toy_people.generate(tmp_path, num_train=2, num_val=1)
    assert picture.is_file()
    toy_people.generate(tmp_path, num_train=1, num_val=1)
    assert not (tmp_path / 'train/000000000002.jpg').exists()


def test_foreign_folders_and_bad_numbers_are_refused(tmp_path):
    precious = tmp_path / 'train' / 'precious.jpg'
    precious.parent.mkdir()
    precious.write_text('x')
    with pytest.raises(FileExistsError, match='holds no toy people'):
        toy_people.generate(tmp_path, num_train=1, num_val=1)
    assert precious.is_file()
    with pytest.raises(FileExistsError, match='is a file'):
        toy_people.generate(precious, num_train=1, num_val=1)
    with pytest.raises(ValueError, match='at least one val image is needed, got 0'):
        toy_people.generate(tmp_path / 'new', num_train=1, num_val=0)


def test_mmpose_reads_it(toy, people):
    dataset = CocoDataset(ann_file='annotations/person_keypoints_train.json', data_root=str(toy),
                          data_prefix=dict(img='train/'), data_mode='topdown')
    assert len(dataset) == sum(p['num_keypoints'] > 0 for p in people['annotations'])
    assert people['categories'][0]['keypoints'] == [
        dataset.metainfo['keypoint_id2name'][i] for i in range(17)]
    for image in people['images']:
        height, width = cv2.imread(str(toy / 'train' / image['file_name'])).shape[:2]
        assert (image['height'], image['width']) == (height, width)


def test_flags_boxes_and_areas_agree(people):
    flags = []
    for person in people['annotations']:
        keypoints = keypoints_of(person)
        x, y, width, height = person['bbox']
        assert 0 <= x and x + width <= 320 and 0 <= y and y + height <= 240
        assert 0 < person['area'] <= width * height
        assert person['num_keypoints'] == (keypoints[:, 2] > 0).sum()
        for u, v, flag in keypoints:
            if flag == 0:
                assert (u, v) == (0, 0)
            if flag == 2:  # what is seen lies in the box of what is seen, to half a pixel
                assert x - .5 <= u <= x + width + .5 and y - .5 <= v <= y + height + .5
        flags += list(keypoints[:, 2])
    assert {0, 1, 2} == set(flags)
    assert np.mean(np.equal(flags, 2)) > .5


def test_an_occluder_hides_what_it_covers():
    rng = np.random.default_rng(0)
    figure = random_figure(rng, 200, (160, 120))
    image, owners = np.zeros((240, 320, 3), np.uint8), np.zeros((240, 320), np.int32)
    figure.paint(image, owners, number=1)
    before = figure.visibility(owners, number=1)
    x, y = figure.keypoints[KEYPOINTS.index('left_knee')].round().astype(int)
    assert before[KEYPOINTS.index('left_knee')] == 2
    owners[y - 2:y + 3, x - 2:x + 3] = owner_id(0, 'torso')
    assert figure.visibility(owners, number=1)[KEYPOINTS.index('left_knee')] == 1
    assert (figure.visibility(owners[:, :x - 3], number=1) == 0).any()


def test_left_and_right_are_the_persons_own():
    right_of_left = []
    for seed in range(200):
        figure = random_figure(np.random.default_rng(seed), 200, (160, 120))
        nose_seen = not figure.hidden[0]
        left, right = (figure.keypoints[KEYPOINTS.index(f'{side}_shoulder')]
                       for side in ('left', 'right'))
        hips = figure.keypoints[[KEYPOINTS.index('left_hip'), KEYPOINTS.index('right_hip')]]
        upright = hips[:, 1].mean() - (left[1] + right[1]) / 2 > 40
        if upright:
            right_of_left.append((nose_seen, left[0] > right[0]))
    # Who faces us has the left shoulder on our right; turned heads make it no rule, but a habit.
    agree = np.mean([seen == side for seen, side in right_of_left])
    assert len(right_of_left) > 120 and agree > .85


def test_perfect_predictions_have_perfect_ap(toy):
    annotations = str(toy / 'annotations/person_keypoints_train.json')
    metric = CocoMetric(ann_file=annotations)
    metric.dataset_meta = CocoDataset(
        ann_file='annotations/person_keypoints_train.json', data_root=str(toy),
        data_mode='topdown').metainfo
    coco = COCO(annotations)
    for person in coco.anns.values():
        if not person['num_keypoints']:
            continue
        keypoints = keypoints_of(person)
        metric.process({}, [dict(
            id=person['id'], img_id=person['image_id'], category_id=1,
            pred_instances=dict(keypoints=keypoints[None, :, :2].astype(float),
                                keypoint_scores=np.ones((1, 17)),
                                bbox_scores=np.ones(1)),
            gt_instances=dict(bbox_scales=np.ones((1, 2)), bbox_scores=np.ones(1)),
            raw_ann_info=person)])
    assert metric.evaluate(size=len(metric.results))['coco/AP'] == pytest.approx(1)
