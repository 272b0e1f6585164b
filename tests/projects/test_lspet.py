"""LSP-Extended: what the converter writes is what the data set reads, and perfect is 100."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS, METRICS
from PIL import Image
from scipy.io import savemat
from toy_lspet import write_toy_lspet

CONFIG = ROOT / 'projects/lspet/refinepose_vits_lspet.py'
RIGHT_ANKLE, LEFT_ANKLE, HEAD_TOP = 0, 5, 13


def convert(*words):
    return subprocess.run([sys.executable, str(ROOT / 'projects/lspet/convert.py'),
                           *map(str, words)], capture_output=True, text=True)


def write_original(folder, joints):
    """A download: joints.mat, and grey images."""
    (folder / 'images').mkdir(parents=True)
    savemat(folder / 'joints.mat', dict(joints=joints))
    for number in range(joints.shape[2]):
        Image.new('RGB', (120, 100)).save(folder / f'images/im{number + 1:05}.jpg')


def test_metainfo_mirrors_left_and_right():
    info = parse_pose_metainfo(dict(from_file=str(ROOT / 'projects/lspet/metainfo.py')))
    names = [info['keypoint_id2name'][i] for i in range(14)]
    for index, mirrored in enumerate(info['flip_indices']):
        swapped = {'left': 'right', 'right': 'left'}
        side, _, joint = names[index].partition('_')
        expected = f'{swapped[side]}_{joint}' if side in swapped else names[index]
        assert names[mirrored] == expected
    assert len(info['skeleton_links']) == 12 and len(info['sigmas']) == 14


@pytest.mark.parametrize('extended', [True, False])
def test_the_converter_tells_lsp_from_lsp_extended(tmp_path, extended):
    joints = np.random.default_rng(0).uniform(20, 80, (14, 3, 4))
    joints[:, 2] = 1 if extended else 0
    joints[HEAD_TOP, :, 1] = (-5, -5, 0) if extended else (30, 40, 1)
    write_original(tmp_path / 'lsp', joints if extended else joints.transpose(1, 0, 2))
    result = convert(tmp_path / 'lsp', tmp_path / 'out', '--val', 2)
    assert result.returncode == 0, result.stderr
    train, val = (json.loads((tmp_path / f'out/lspet_{split}.json').read_text())
                  for split in ('train', 'val'))
    assert [image['file_name'] for image in train['images']] == ['im00001.jpg', 'im00002.jpg']
    assert len(val['annotations']) == 2
    found = np.array(train['annotations'][1]['keypoints']).reshape(14, 3)
    np.testing.assert_allclose(found[:13, :2], joints[:13, :2, 1] - 1, atol=.01)
    if extended:
        assert found[HEAD_TOP].tolist() == [0, 0, 0] and set(found[:13, 2]) == {2}
    else:
        assert found[HEAD_TOP].tolist() == [29, 39, 1] and set(found[:13, 2]) == {2}
    left, top, width, height = train['annotations'][1]['bbox']
    known = found[found[:, 2] > 0, :2]
    assert (known >= [left, top]).all() and (known <= [left + width, top + height]).all()
    assert left + width <= 120 and top + height <= 100


def test_mistakes_of_the_download_are_named(tmp_path):
    assert 'joints.mat not found' in convert(tmp_path, tmp_path / 'out').stderr
    write_original(tmp_path / 'lsp', np.ones((14, 3, 4)))
    result = convert(tmp_path / 'lsp', tmp_path / 'out', '--val', 4)
    assert result.returncode == 1 and '--val must be from 1 to 3, got 4' in result.stderr
    next((tmp_path / 'lsp/images').iterdir()).unlink()
    result = convert(tmp_path / 'lsp', tmp_path / 'out', '--val', 1)
    assert 'joints for 4 images' in result.stderr and 'holds 3' in result.stderr
    savemat(tmp_path / 'lsp/joints.mat', dict(joints=np.ones((5, 3, 4))))
    assert 'got (5, 3, 4)' in convert(tmp_path / 'lsp', tmp_path / 'out').stderr
    savemat(tmp_path / 'lsp/joints.mat', dict(other=np.ones((14, 3, 4))))
    assert 'got (0,)' in convert(tmp_path / 'lsp', tmp_path / 'out').stderr


def test_a_target_with_the_images_of_another_source_is_refused(tmp_path):
    for name in ('lsp', 'lspet'):
        write_original(tmp_path / name, np.full((14, 3, 4), 50.))
    assert convert(tmp_path / 'lsp', tmp_path / 'out', '--val', 1).returncode == 0
    written = (tmp_path / 'out/lspet_train.json').read_text()
    assert convert(tmp_path / 'lsp', tmp_path / 'out', '--val', 1).returncode == 0  # the same
    result = convert(tmp_path / 'lspet', tmp_path / 'out', '--val', 2)
    assert result.returncode == 1 and 'out/train exists and is not' in result.stderr
    assert (tmp_path / 'out/lspet_train.json').read_text() == written


@pytest.fixture(params=['toy people', 'photos'])
def lspet_root(request, tmp_path):
    """A folder for LSPET_ROOT: of toy people, and of the real photos where they are at hand."""
    if request.param == 'photos':
        return request.getfixturevalue('photos') / 'lspet'
    write_toy_lspet(tmp_path, train=1, val=40)
    return tmp_path


def test_perfect_predictions_score_100_and_swapped_ankles_do_not(lspet_root, monkeypatch):
    monkeypatch.setenv('LSPET_ROOT', str(lspet_root))
    config = Config.fromfile(CONFIG)
    init_default_scope('mmpose')
    dataset = DATASETS.build(config.val_dataloader.dataset)
    annotations = json.loads((lspet_root / 'lspet_val.json').read_text())['annotations']
    assert len(dataset) == len(annotations) >= 40
    samples = [dataset[i]['data_samples'] for i in range(40)]

    def score(change=lambda keypoints: keypoints):
        found = {}
        for metric in config.val_evaluator:
            metric = METRICS.build(metric)
            metric.dataset_meta = dataset.metainfo
            for sample in samples:
                truth = sample.gt_instances
                sample.pred_instances = truth.clone()
                sample.pred_instances.keypoints = change(truth.keypoints.copy())
                sample.pred_instances.keypoint_scores = np.ones((1, 14))
                metric.process([{}], [sample.to_dict()])
            found.update(metric.evaluate(len(samples)))
        return found

    def swap(keypoints):
        keypoints[:, [RIGHT_ANKLE, LEFT_ANKLE]] = keypoints[:, [LEFT_ANKLE, RIGHT_ANKLE]]
        return keypoints

    perfect, swapped = score(), score(swap)
    assert [perfect[f'bbox@{share}/PCK'] for share in ('0.05', '0.1', '0.2')] == [1, 1, 1]
    assert swapped['bbox@0.05/PCK'] == pytest.approx(12 / 14, abs=.05)
    assert swapped['bbox@0.2/PCK'] < 1


def test_other_photos_are_evaluated_by_path(monkeypatch):
    monkeypatch.setenv('LSPET_VAL', 'default/other.json')
    monkeypatch.setenv('LSPET_VAL_IMAGES', 'default/photos')
    config = Config.fromfile(CONFIG)
    assert config.test_dataloader.dataset.ann_file == 'default/other.json'
    assert config.test_dataloader.dataset.data_prefix.img == 'default/photos'
    assert config.test_evaluator[-1].ann_file == 'default/other.json'
    assert config.train_dataloader.dataset.ann_file == 'lspet_train.json'
