"""Poses as dictionaries, pandas tables and files for other programs."""

import csv
import json
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest
from mmpose.datasets.datasets import CocoDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from xtcocotools.coco import COCO
from xtcocotools.cocoeval import COCOeval

from refinepose_mm.deploy.poses import COLUMNS, Poses
from refinepose_mm.deploy.predictor import Scene
from refinepose_mm.deploy.results import Results
from refinepose_mm.deploy.tables import FORMATS, Joints

METAINFO = parse_pose_metainfo(CocoDataset.METAINFO)
JOINTS = Joints(list(METAINFO['keypoint_id2name'].values()), METAINFO['skeleton_links'])
IMAGE = np.zeros((200, 400, 3), np.uint8)
BOXES = np.array([[10, 20, 110, 180], [200, 5, 300, 195]], np.float32)


@pytest.fixture
def poses():
    """Two persons with a box each; the second one's nose is hidden."""
    unit = np.random.default_rng(0).uniform(.1, .9, (2, 17, 2))
    keypoints = BOXES[:, None, :2] + unit * (BOXES[:, None, 2:] - BOXES[:, None, :2])
    scores = np.full((2, 17), .8)
    scores[1, 0] = .1
    return Poses(keypoints, scores, tuple(JOINTS.names), BOXES, np.array([.9, .5]))


@pytest.fixture
def write(tmp_path, poses):
    """Writes an image without persons and one with two, in all formats."""
    def run(names=('000000000007.jpg', '000000000785.jpg'), time=None):
        results = Results(tmp_path, JOINTS, .3, list(FORMATS))
        nobody = Poses(poses.keypoints[:0], poses.scores[:0], poses.names, BOXES[:0])
        for name, found in zip(names, (nobody, poses)):
            results.write(Scene(IMAGE, found.boxes, name, time=time), found)
        results.close()
        return tmp_path
    return run


def test_keypoints_and_scores_are_the_first_two(poses):
    keypoints, scores = poses
    assert keypoints is poses.keypoints and scores is poses.scores


def test_a_person_s_score_is_that_of_mmpose(poses):
    """The mean of keypoint scores above 0.2, times the box's."""
    np.testing.assert_allclose(poses.person_scores(), [.8 * .9, .8 * .5])
    poses.scores[0], poses.box_scores = .2, None
    np.testing.assert_allclose(poses.person_scores(), [0, .8])


def test_to_dict_and_to_pandas(poses):
    poses.identities = np.array([4, 2])
    first, second = poses.to_dict()['persons']
    assert json.loads(json.dumps(first)) == first
    assert first['names'][0] == 'nose' and first['identity'] == 4 and first['score'] == .72
    assert first['box'] == [10, 20, 110, 180] and first['box_score'] == .9
    table = poses.to_pandas()
    assert tuple(table.columns) == COLUMNS and len(table) == 34
    row = table[(table.person == 1) & (table.keypoint == 'left_ankle')].iloc[0]
    np.testing.assert_allclose([row.x, row.y], poses.keypoints[1, 15], atol=.005)
    assert (row.identity, row.score, row.right) == (2, .8, 300)


def test_what_is_unknown_is_left_out(poses):
    bare = Poses(*poses)
    assert set(bare.to_dict()['persons'][0]) == {'keypoints', 'scores', 'names', 'score'}


def test_lines_and_table_go_on_as_in_0_1_0(write, poses):
    folder = write(time=Fraction(1, 3))
    nobody, line = map(json.loads, (folder / 'predictions.jsonl').read_text().splitlines())
    assert nobody['persons'] == []
    assert line['name'] == '000000000785.jpg' and line['time'] == .333333
    assert (line['width'], line['height']) == (400, 200)
    table = json.loads((folder / 'predictions.json').read_text())
    assert table == {'000000000007.jpg': [], '000000000785.jpg': line['persons']}
    np.testing.assert_allclose(line['persons'][1]['keypoints'], poses.keypoints[1], atol=.005)


def test_csv(write, poses):
    with open(write() / 'keypoints.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 17
    row = rows[17]
    assert row['name'] == '000000000785.jpg' and row['keypoint'] == 'nose'
    assert row['person'] == '1' and row['identity'] == row['time'] == ''
    assert abs(float(row['x']) - poses.keypoints[1, 0, 0]) < .006 and row['score'] == '0.1'
    assert (row['left'], row['bottom'], row['box_score']) == ('200.0', '195.0', '0.5')


def test_coco_files_fit_together_and_cocos_evaluation_reads_them(write, tmp_path):
    """The annotations as ground truth, the results as predictions: a perfect score."""
    folder = write()
    truth = COCO(str(folder / 'coco_keypoints.json'))
    found = truth.loadRes(str(folder / 'coco_results.json'))
    evaluation = COCOeval(truth, found, 'keypoints', use_area=True,
                          sigmas=np.array(METAINFO['sigmas']))
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == 1
    assert [image['file_name'] for image in truth.loadImgs([7, 785])] == [
        '000000000007.jpg', '000000000785.jpg']
    first, second = truth.loadAnns(truth.getAnnIds(785))
    assert first['bbox'] == [10, 20, 100, 160] and first['score'] == .72
    assert second['keypoints'][2::3] == [1] + 16 * [2]  # the nose is hidden
    category, = truth.loadCats(1)
    assert category['name'] == 'person' and category['keypoints'] == JOINTS.names
    assert [16, 14] in category['skeleton']  # COCO counts from 1


@pytest.mark.parametrize('names', [('a.jpg', '5.jpg'), ('1.jpg', '01.jpg'), ('x/1.jpg', 'y/1.jpg')])
def test_images_without_numbers_of_their_own_are_counted(write, names):
    content = json.loads((write(names) / 'coco_keypoints.json').read_text())
    assert [(image['id'], image['file_name']) for image in content['images']] == [
        *zip((1, 2), names)]
    assert {annotation['image_id'] for annotation in content['annotations']} == {2}


def test_identities_are_tracks_in_coco(write, poses):
    poses.identities = np.array([4, 2])
    content = json.loads((write(('0', '1')) / 'coco_keypoints.json').read_text())
    assert [annotation['attributes'] for annotation in content['annotations']] == [
        dict(track_id=4), dict(track_id=2)]


def test_label_studio(write, poses):
    folder = write()
    nobody, task = json.loads((folder / 'label_studio.json').read_text())
    assert nobody['predictions'][0]['result'] == []
    assert task['data']['image'].endswith('?d=000000000785.jpg')
    prediction, = task['predictions']
    results = prediction['result']
    assert len(results) == 2 * 18 and len({result['id'] for result in results}) == 36
    box, nose = results[18:20]
    assert box['value'] == dict(x=50, y=2.5, width=25, height=95, rotation=0,
                                rectanglelabels=['person'])
    assert nose['parentID'] == box['id'] and nose['value']['hidden']
    assert nose['value']['keypointlabels'] == ['nose'] and nose['score'] == .1
    np.testing.assert_allclose([nose['value']['x'], nose['value']['y']],
                               poses.keypoints[1, 0] / (4, 2), atol=.005)
    # The labels' file knows every control and label that the task names.
    view = ElementTree.parse(folder / 'label_studio.xml').getroot()
    known = {(control.get('name'), label.get('value')) for control in view for label in control}
    assert {(result['from_name'], *result['value'][result['type']]) for result in results} == known
