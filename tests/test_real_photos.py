"""The chain data set -> network -> evaluator -> inferencer on real photos."""

import json

import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.apis import MMPoseInferencer, inference_topdown, init_model
from mmpose.registry import DATASETS, KEYPOINT_CODECS, METRICS
from scipy.io import savemat

TINY = ROOT / 'configs/refinepose_tiny_toy.py'
PHOTO = 'val2017/000000057597.jpg'


@pytest.fixture
def tiny_model():
    return init_model(str(TINY), device='cpu')


def shrunken(path, **environment):
    config = Config.fromfile(ROOT / path)
    config.model.backbone.update(
        arch=dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64),
        init_cfg=None)
    config.model.head.in_channels = 32
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=8)
    config.default_hooks.checkpoint = None
    return config


def runner_of(config, tmp_path):
    config.work_dir = str(tmp_path)
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
    config.param_scheduler = None
    config.default_hooks.logger = None
    config.visualizer = None
    return Runner.from_cfg(config)


def test_mmpose_inference_takes_boxes(tiny_model, coco_mini):
    boxes = np.array([[10, 20, 110, 220], [100, 50, 300, 400]], dtype=np.float32)
    results = inference_topdown(tiny_model, str(coco_mini / PHOTO), boxes)
    assert len(results) == 2
    for result, box in zip(results, boxes):
        assert result.pred_instances.keypoints.shape == (1, 17, 2)
        assert np.isfinite(result.pred_instances.keypoints).all()
        np.testing.assert_array_equal(result.pred_instances.bboxes[0], box)


def test_mmpose_inferencer_writes_an_overlay(coco_mini, tmp_path):
    inferencer = MMPoseInferencer(pose2d=str(TINY), det_model='whole_image', device='cpu')
    result = next(inferencer(str(coco_mini / PHOTO), vis_out_dir=str(tmp_path)))
    assert len(result['predictions'][0][0]['keypoints']) == 17
    assert (tmp_path / '000000057597.jpg').stat().st_size > 0


def test_inference_on_a_truncated_photo_names_it(tiny_model, coco_mini, tmp_path):
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes((coco_mini / PHOTO).read_bytes()[:5000])
    with pytest.raises(OSError, match='broken.jpg cannot be decoded: .*truncated'):
        inference_topdown(tiny_model, str(broken), np.array([[0, 0, 50, 50]]))


def test_detector_boxes_reach_refinepose_under_mmcv_lite(coco_mini, tmp_path):
    """MMDetection's RTMDet with random weights, its NMS included, through MMPose's own flow."""
    detector = tmp_path / 'rtmdet.py'
    detector.write_text('''
_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
model = dict(
    backbone=dict(init_cfg=None),
    # Random scores are all low; keep some boxes all the same.
    test_cfg=dict(score_thr=0., max_per_img=5))
''')
    torch.manual_seed(0)
    # Without weights MMDetection cannot know the class names; the first class is the person.
    from mmdet.apis import init_detector
    weights = tmp_path / 'rtmdet.pth'
    torch.save(init_detector(str(detector), device='cpu').state_dict(), weights)
    inferencer = MMPoseInferencer(
        pose2d=str(TINY), det_model=str(detector), det_weights=str(weights),
        det_cat_ids=list(range(80)), device='cpu')
    persons = next(inferencer(str(coco_mini / PHOTO), bbox_thr=0., nms_thr=.9))['predictions'][0]
    assert 1 <= len(persons) <= 5
    boxes = np.array([person['bbox'][0] for person in persons])
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert all(np.isfinite(person['keypoints']).all() for person in persons)


def test_detection_boxes_are_evaluated(photos, tmp_path, monkeypatch):
    """AP_H_56 boxes of MMPose's samples: one prediction for each person box, and an AP."""
    samples = photos / 'mmpose_samples/coco'
    boxes = samples / 'test_coco_det_AP_H_56.json'
    monkeypatch.setenv('COCO_BOXES', str(boxes))
    config = shrunken('configs/refinepose_vitb_coco.py')
    config.test_dataloader.dataset.update(
        data_root=str(samples), ann_file='test_coco.json', data_prefix=dict(img=''))
    config.test_evaluator.update(
        ann_file=str(samples / 'test_coco.json'), outfile_prefix=str(tmp_path / 'results'),
        score_mode='bbox_keypoint', nms_mode='none')
    metrics = runner_of(config, tmp_path).test()
    assert 0 <= metrics['coco/AP'] <= 1
    persons = [box for box in json.loads(boxes.read_text()) if box['category_id'] == 1]
    results = json.loads((tmp_path / 'results.keypoints.json').read_text())
    assert len(results) == len(persons)
    assert_coco_results(results, [dict(id=box['image_id']) for box in persons])


def test_testdev_run_writes_what_the_server_reads(coco_mini, tmp_path, monkeypatch):
    """test-dev: no annotations, detected boxes, a results file instead of an AP."""
    labelled = json.loads((coco_mini / 'annotations/person_keypoints_val2017.json').read_text())
    images = labelled['images'][:3]
    root = tmp_path / 'coco'
    (root / 'annotations').mkdir(parents=True)
    (root / 'test2017').symlink_to(coco_mini / 'val2017')
    (root / 'annotations/image_info_test-dev2017.json').write_text(
        json.dumps(dict(images=images, categories=labelled['categories'])))
    boxes = [dict(image_id=image['id'], category_id=1, bbox=[20., 20., 100., 150.], score=.9)
             for image in images]
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    monkeypatch.setenv('COCO_ROOT', str(root))
    monkeypatch.setenv('COCO_BOXES', str(tmp_path / 'boxes.json'))
    config = shrunken('configs/refinepose_vitl_coco_testdev.py')
    assert config.test_evaluator.outfile_prefix == 'work_dirs/coco_testdev'
    config.test_evaluator.outfile_prefix = str(tmp_path / 'results')
    config.val_dataloader = config.val_evaluator = config.val_cfg = None
    runner_of(config, tmp_path).test()
    results = json.loads((tmp_path / 'results.keypoints.json').read_text())
    assert_coco_results(results, images)
    assert len(results) == len(images)


def assert_coco_results(results, images):
    """COCO's results format: https://cocodataset.org/#format-results"""
    assert {result['image_id'] for result in results} == {image['id'] for image in images}
    for result in results:
        assert result['category_id'] == 1 and isinstance(result['score'], float)
        assert len(result['keypoints']) == 51
        assert all(isinstance(value, (int, float)) for value in result['keypoints'])


@pytest.fixture
def mpii(photos, tmp_path, monkeypatch):
    """A copy of MMPose's five MPII samples with a head-box file of small heads, 10 px long."""
    samples = photos / 'mmpose_samples/mpii'
    root = tmp_path / 'mpii'
    (root / 'annotations').mkdir(parents=True)
    (root / 'images').symlink_to(samples)
    for split in ('train', 'val'):
        (root / f'annotations/mpii_{split}.json').symlink_to(samples / 'test_mpii.json')
    boxes = np.zeros((2, 2, 5))
    boxes[1, 0] = 10 / .6  # MMPose takes 0.6 of the diagonal from one corner to the other
    savemat(root / 'annotations/mpii_gt_val.mat', dict(headboxes_src=boxes))
    monkeypatch.setenv('MPII_ROOT', str(root))
    return root


def test_mpii_trains_and_evaluates(mpii, tmp_path):
    runner = runner_of(shrunken('configs/refinepose_vitb_mpii.py'), tmp_path)
    before = runner.model.head.final_layer.weight.detach().clone()
    runner.train()
    assert not torch.equal(before, runner.model.head.final_layer.weight)
    metrics = runner.test()
    assert 0 <= metrics['PCK'] <= 100 and 0 <= metrics['PCK@0.1'] <= 100


def learned_perfectly(config, zero_based):
    """The score of a model that predicts exactly the heatmaps that it is trained on."""
    init_default_scope('mmpose')
    pipeline = [t for t in config.train_dataloader.dataset.pipeline
                if not t.type.startswith('Random')]
    if not zero_based:
        pipeline = [t for t in pipeline if t.type != 'ZeroBasedJoints']
    config.train_dataloader.dataset.pipeline = pipeline
    training = DATASETS.build(config.train_dataloader.dataset)
    validation = DATASETS.build(config.val_dataloader.dataset)
    codec = KEYPOINT_CODECS.build(config.codec)
    metric = METRICS.build(config.val_evaluator)
    metric.dataset_meta = validation.metainfo
    for learned, asked in zip(training, validation):
        sample = learned['data_samples']
        keypoints, _ = codec.decode(sample.gt_fields.heatmaps.numpy())
        meta = sample.metainfo
        keypoints = keypoints / meta['input_size'] * meta['input_scale'] \
            + meta['input_center'] - .5 * meta['input_scale']
        answer = asked['data_samples'].to_dict()
        answer['pred_instances'] = dict(keypoints=keypoints)
        answer['gt_instances'] = asked['data_samples'].gt_instances.to_dict()
        metric.process([], [answer])
    return metric.evaluate(len(validation))


def test_mpii_joints_are_made_zero_based(mpii):
    """The defect of MMPose 1.x and its cure: heads of 10 px, so PCKh@0.1 means 1 px."""
    path = ROOT / 'configs/refinepose_vitb_mpii.py'
    assert learned_perfectly(Config.fromfile(path), zero_based=True)['PCK@0.1'] == 100
    assert learned_perfectly(Config.fromfile(path), zero_based=False)['PCK@0.1'] == 0


def test_mpii_without_head_boxes_says_so(mpii):
    (mpii / 'annotations/mpii_gt_val.mat').unlink()
    config = Config.fromfile(ROOT / 'configs/refinepose_vitb_mpii.py')
    init_default_scope('mmpose')
    with pytest.raises(AssertionError, match='mpii_gt_val.mat` does not exist'):
        DATASETS.build(config.val_dataloader.dataset)
