"""The stand-in for xtcocotools against xtcocotools itself."""

import json

import numpy as np
import pytest
import xtcocotools.coco
import xtcocotools.cocoeval

from refinepose_mm import coco

pytestmark = pytest.mark.skipif(xtcocotools.coco is coco, reason='no xtcocotools to compare with')
COCO_SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1e3
OTHER_PARTS = {'foot': 6, 'face': 68, 'lefthand': 21, 'righthand': 21}


@pytest.fixture(scope='module')
def annotations(photos):
    """538 images of COCO val2017 with the keypoints of 1,354 persons."""
    path = photos / 'coco_val2017_part/person_keypoints_val2017_part.json'
    return json.loads(path.read_text())


def jittered(annotations, seed=0):
    """Detections: each person displaced by some pixels, twice, some lost, with random scores."""
    rng = np.random.default_rng(seed)
    detections = []
    for person in annotations['annotations'] * 2:
        joints = np.array(person['keypoints'], float).reshape(-1, 3)
        if rng.random() < .1:
            continue
        _, _, width, height = person['bbox']
        joints[:, :2] += rng.normal(0, rng.uniform(0, .08) * (width * height) ** .5,
                                    (len(joints), 2))
        joints[:, 2] = rng.random(len(joints)) * (rng.random() > .05)  # some all zero
        detections.append(dict(image_id=person['image_id'], category_id=1,
                               keypoints=joints.ravel().tolist(), score=rng.random()))
    return detections


def evaluate(package, evaluation, folder, annotations, detections, *args):
    """The numbers that one package gives, from files as MMPose writes them."""
    truth_file, results_file = folder / 'truth.json', folder / 'results.json'
    truth_file.write_text(json.dumps(annotations))
    results_file.write_text(json.dumps(detections))
    truth = package.COCO(str(truth_file))
    run = evaluation.COCOeval(truth, truth.loadRes(str(results_file)), *args)
    run.params.useSegm = None
    run.evaluate()
    run.accumulate()
    run.summarize()
    return run.stats


def random_persons(joints, seed=0):
    """Annotations of persons that are not from photos, three on each image; some joints unseen."""
    rng = np.random.default_rng(seed)
    persons = []
    for index in range(60):
        x, y, width, height = rng.uniform(20, 200, 4)
        points = np.column_stack([x + rng.random(joints) * width, y + rng.random(joints) * height,
                                  rng.integers(0, 3, joints) * (index % 10 != 5)])
        persons.append({'id': index, 'image_id': index // 3, 'category_id': 1,
                        'bbox': [x, y, width, height], 'keypoints': points.ravel().tolist(),
                        'num_keypoints': int((points[:, 2] == 2).sum())})
    images = [dict(id=index, crowdIndex=index / 20) for index in range(20)]
    return dict(images=images, annotations=persons, categories=[dict(id=1, name='person')])


def both(folder, annotations, detections, *args):
    """Numbers of xtcocotools and of the stand-in."""
    expected = evaluate(xtcocotools.coco, xtcocotools.cocoeval, folder, annotations, detections,
                        *args)
    return expected, evaluate(coco, coco, folder, annotations, detections, *args)


def first_images(annotations, count):
    """The annotations of some images only."""
    images = annotations['images'][:count]
    ids = {image['id'] for image in images}
    persons = [person for person in annotations['annotations'] if person['image_id'] in ids]
    return {**annotations, 'images': images, 'annotations': persons}


@pytest.mark.parametrize('images, sigmas, use_area', [
    (538, None, True),
    (60, None, False),
    (60, COCO_SIGMAS * np.linspace(.5, 2, 17), True),
])
def test_precision_and_recall_equal(annotations, tmp_path, images, sigmas, use_area):
    annotations = first_images(annotations, images)
    expected, found = both(tmp_path, annotations, jittered(annotations), 'keypoints', sigmas,
                           use_area)
    assert len(expected) == 10 and .1 < expected.min() and expected.max() < .99
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_crowdpose_equals(tmp_path):
    """Its levels, persons without an annotated area or iscrowd, and the first id being 0."""
    annotations = random_persons(14)
    detections = jittered(annotations)
    expected, found = both(tmp_path, annotations, detections, 'keypoints_crowd',
                           np.full(14, .079), False)
    assert len(expected) == 9 and .05 < expected.min() and expected.max() < .99
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*not found, use 'score'")  # xtcocotools says so
@pytest.mark.parametrize('scored', [True, False])
@pytest.mark.parametrize('part', ['body', *OTHER_PARTS, 'wholebody'])
def test_parts_of_the_body_equal(tmp_path, part, scored):
    """COCO-WholeBody: 133 joints in five lists, each with a score of its own or one for all."""
    annotations = random_persons(17)
    for seed, (name, count) in enumerate([('body', 17), *OTHER_PARTS.items()], start=1):
        key = 'keypoints' if name == 'body' else f'{name}_kpts'
        persons = random_persons(count, seed)
        for person, other in zip(annotations['annotations'], persons['annotations']):
            person[key] = other['keypoints']
    detections = []
    rng = np.random.default_rng(9)
    for person in annotations['annotations']:
        found = {key: (np.array(value) + rng.normal(0, 6, len(value))).tolist()
                 for key, value in person.items() if key == 'keypoints' or key.endswith('_kpts')}
        found.update(image_id=person['image_id'], category_id=1, score=rng.random())
        if scored:
            found.update({f'{name}_score': rng.random() for name in (*OTHER_PARTS, 'wholebody')})
        detections.append(found)
    count = {'body': 17, 'wholebody': 133, **OTHER_PARTS}[part]
    expected, found = both(tmp_path, annotations, detections, f'keypoints_{part}',
                           np.linspace(.03, .1, count), False)
    assert 0 < expected[0] < .99
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_no_results_at_all(tmp_path):
    annotations = random_persons(17)
    expected, found = both(tmp_path, annotations, [], 'keypoints', None, False)
    assert expected[0] == 0
    np.testing.assert_array_equal(found, expected)


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match='must be one of keypoints, .*_righthand, got segm'):
        coco.COCOeval(None, None, 'segm')
