"""Every data set's config on MMPose's own sample photos: checks, pipeline, metric, drawing."""

from __future__ import annotations

import importlib.util
import json
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.registry import DATASETS, METRICS, MODELS
from scipy.io import savemat

from refinepose_mm.deploy.media import Painter
from refinepose_mm.deploy.poses import Poses
from refinepose_mm.deploy.predictor import BatchPredictor
from refinepose_mm.engine.data_checks import parts
from refinepose_mm.engine.preflight import problems_of


class Sample(NamedTuple):
    """What MMPose has of a set: folder, annotations and detections in it, place of its photos."""

    folder: str
    annotations: str
    detections: str = ''
    photos: str = ''


SAMPLES = dict(
    CocoDataset=Sample('coco', 'test_coco.json', 'test_coco_det_AP_H_56.json'),
    CocoWholeBodyDataset=Sample(
        'coco', 'test_coco_wholebody.json', 'test_coco_det_AP_H_56.json'),
    HalpeDataset=Sample('halpe', 'test_halpe.json', photos='../coco'),  # its photos are COCO's
    CrowdPoseDataset=Sample('crowdpose', 'test_crowdpose.json', 'test_crowdpose_det_AP_40.json'),
    OCHumanDataset=Sample('ochuman', 'test_ochuman.json'),
    AicDataset=Sample('aic', 'test_aic.json'),
    HumanArtDataset=Sample('humanart', 'test_humanart.json', 'test_humanart_det_AP_H_56.json'),
    PoseTrack18Dataset=Sample('posetrack18', 'annotations/test_posetrack18_val.json',
                              'annotations/test_posetrack18_human_detections.json'),
    MpiiDataset=Sample('mpii', 'test_mpii.json'),
    JhmdbDataset=Sample('jhmdb', 'test_jhmdb_sub1.json'),
    AP10KDataset=Sample('ap10k', 'test_ap10k.json'),
    AnimalPoseDataset=Sample('animalpose', 'test_animalpose.json'),
    OneHand10KDataset=Sample('onehand10k', 'test_onehand10k.json'),
    WFLWDataset=Sample('wflw', 'test_wflw.json'))
# Set: what a model that learned its targets scores. AUC has no more to give: its first of twenty
# thresholds is 0 pixels. AP-10K is a mean over species.
PERFECT = dict(
    coco_wholebody={'coco-wholebody/AP': 1, 'coco-wholebody/AR': 1},
    halpe={'coco/AP': 1, 'coco/AR': 1},
    crowdpose={'crowdpose/AP': 1, 'crowdpose/AR': 1, 'crowdpose/AP(M)': 1},
    ochuman={'coco/AP': 1, 'coco/AR': 1},
    aic={'coco/AP': 1, 'coco/AR': 1},
    humanart={'coco/AP': 1, 'coco/AR': 1},
    posetrack18={'coco/AP': 1, 'coco/AR': 1},
    jhmdb={'PCK': 1, 'tPCK': 1},
    ap10k={'coco/AP': 1, 'coco/AR': 1},
    animalpose={'coco/AP': 1, 'coco/AR': 1},
    onehand10k={'PCK': 1, 'AUC': .95, 'EPE': 0},
    wflw={'NME': 0})
CUT_OFF = 8  # AI Challenger's box of this person ends above knees and ankles that are labelled


@pytest.fixture(params=PERFECT)
def name(request) -> str:
    return request.param


@pytest.fixture
def roots(photos, tmp_path, monkeypatch):
    """Every set's root in the environment; the sets are not there yet."""
    for variable in ('COCO', 'MPII', *map(str.upper, PERFECT)):
        monkeypatch.setenv(f'{variable}_ROOT', str(tmp_path / 'root' / variable.split('_')[0]))


@pytest.fixture
def config(name, roots, photos) -> Config:
    """A set's config, its model narrow, and the samples where the config looks for the set."""
    return small(f'configs/refinepose_vitb_{name}.py', photos)


def small(path, photos):
    config = Config.fromfile(ROOT / path)
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        for dataset, _ in parts(loader.dataset, ''):
            lay_out(dataset, photos / 'mmpose_samples')
        loader.update(num_workers=0, persistent_workers=False, batch_size=2)
    config.model.backbone.update(
        arch=dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64),
        init_cfg=None)
    config.model.head.in_channels = 32
    return config


def lay_out(dataset, samples):
    """Link the samples of a set to where its config expects the set."""
    sample = SAMPLES[dataset.type]
    folder = samples / sample.folder
    if not folder.is_dir():
        pytest.skip(f'no samples of {dataset.type} at {folder}')
    link(dataset.data_root, dataset.ann_file, folder / sample.annotations)
    if dataset.get('bbox_file'):
        link('', dataset.bbox_file, folder / sample.detections)
    prefix = (dataset.get('data_prefix') or {}).get('img', '')
    if prefix:
        link(dataset.data_root, prefix, folder / sample.photos)
        return
    images = json.loads((folder / sample.annotations).read_text())['images']
    for image in images:
        inside = image['file_name'].removeprefix('HumanArt/images/')
        link(dataset.data_root, image['file_name'], folder / sample.photos / inside)


def link(root, path, target):
    source = Path(root) / path
    source.parent.mkdir(parents=True, exist_ok=True)
    if not source.exists():
        source.symlink_to(target.resolve())


def test_is_short(name):
    for path in (f'configs/_base_/{name}.py', f'configs/refinepose_vitb_{name}.py'):
        assert len((ROOT / path).read_text().splitlines()) <= 25


def test_best_model_is_chosen_by_the_metric(name):
    checkpoint = Config.fromfile(
        ROOT / f'configs/refinepose_vitb_{name}.py').default_hooks.checkpoint
    assert checkpoint.save_best in PERFECT[name]
    assert checkpoint.rule == ('less' if checkpoint.save_best == 'NME' else 'greater')


def test_data_pass_the_checks_of_a_run(config):
    assert problems_of(config) == []


def test_joints_of_another_number_are_found(name, config):
    config.model.head.out_channels += 1
    assert any('keypoints, the metainfo of' in line for line in problems_of(config, ['train']))


def test_perfect_model_scores_perfectly(name, config):
    """Its heatmaps are the targets of the training pipeline, without augmentation."""
    loader, evaluator = ((config.test_dataloader, config.test_evaluator) if name == 'ochuman' else
                         (config.val_dataloader, config.val_evaluator))
    if name == 'aic':
        drop(loader.dataset, config.val_evaluator, CUT_OFF)
    validation = DATASETS.build(loader.dataset)
    learned = DATASETS.build(dict(
        loader.dataset, test_mode=False,
        pipeline=[step for step in config.train_dataloader.dataset.pipeline
                  if not step.type.startswith('Random')]))
    assert len(learned) == len(validation) > 0
    config.model.test_cfg.flip_test = False
    model = MODELS.build(config.model).eval()
    answers = []
    for target, asked in zip(learned, validation):
        heatmaps = target['data_samples'].gt_fields.heatmaps[None]
        model.head.forward = lambda features, heatmaps=heatmaps: heatmaps
        answers += model.predict(torch.zeros(1, 3, *config.model.backbone.img_size),
                                 [asked['data_samples']])
    found = evaluate(evaluator, validation, answers)
    assert {key: found[key] for key in PERFECT[name]} == pytest.approx(PERFECT[name], abs=1e-3)
    # Closer than any metric looks: its joints are the metric's, to a tenth of a pixel.
    assert np.mean(np.concatenate([
        np.linalg.norm(a.pred_instances.keypoints - a.gt_instances.keypoints, axis=2)[
            a.gt_instances.keypoints_visible > 0] for a in answers])) < .1
    # The same model, a quarter of the crop off, is not perfect: the metric does look.
    for answer in answers:
        answer.pred_instances.keypoints += answer.input_scale / 4
    worse = evaluate(evaluator, validation, answers)
    assert any(worse[key] != pytest.approx(PERFECT[name][key], abs=1e-3) for key in PERFECT[name])


def evaluate(evaluator, dataset, answers):
    found = {}
    for cfg in evaluator if isinstance(evaluator, list) else [evaluator]:
        metric = METRICS.build(cfg)
        metric.dataset_meta = deepcopy(dataset.metainfo)
        metric.process([], [answer.to_dict() for answer in deepcopy(answers)])
        found.update(metric.evaluate(len(dataset)))
    return found


def drop(dataset, evaluator, number):
    """Leave out one annotation, in a copy of the file."""
    content = json.loads(open(f'{dataset.data_root}/{dataset.ann_file}').read())
    content['annotations'] = [a for a in content['annotations'] if a['id'] != number]
    dataset.ann_file = 'annotations/fewer.json'
    evaluator.ann_file = f'{dataset.data_root}/{dataset.ann_file}'
    with open(evaluator.ann_file, 'w') as file:
        json.dump(content, file)


def test_box_of_ai_challenger_cuts_off_joints(photos):
    """Why that person is left out: no crop shows its ankles."""
    samples = json.loads((photos / 'mmpose_samples/aic/test_aic.json').read_text())
    person = next(a for a in samples['annotations'] if a['id'] == CUT_OFF)
    joints = np.reshape(person['keypoints'], (-1, 3))
    left, top, width, height = person['bbox']
    ankles = joints[[8, 11]]
    assert (ankles[:, 2] > 0).all() and (ankles[:, 1] > top + 1.25 * height).all()


def test_wholebody_person_without_body_joints_is_not_tested_by_its_box(photos, tmp_path):
    """MMPose drops such persons, COCO-WholeBody counts them: recall of faces and hands is lost."""
    path = tmp_path / 'wholebody.json'
    content = json.loads((photos / 'mmpose_samples/coco/test_coco_wholebody.json').read_text())
    person = content['annotations'][0]
    person.update(keypoints=[0] * 51, num_keypoints=0)
    path.write_text(json.dumps(content))
    assert np.any(person['face_kpts'])
    dataset = DATASETS.build(dict(type='CocoWholeBodyDataset', ann_file=str(path)))
    assert len(dataset) == 11 and person['id'] not in [info['id'] for info in map(
        dataset.get_data_info, range(11))]


def runner_of(config, tmp_path):
    config.work_dir = str(tmp_path / 'work')
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=1, val_interval=1)
    config.param_scheduler = config.visualizer = None
    config.default_hooks.update(checkpoint=None, logger=None)
    for loader in (config.val_dataloader, config.test_dataloader):
        loader.dataset.indices = 2
    torch.manual_seed(0)
    return Runner.from_cfg(config)


def test_trains_validates_and_tests(name, config, tmp_path):
    if name == 'posetrack18':
        config.test_evaluator = config.val_evaluator  # PoseTrack's own needs poseval
    runner = runner_of(config, tmp_path)
    before = runner.model.head.final_layer.weight.detach().clone()
    runner.train()
    assert not torch.equal(before, runner.model.head.final_layer.weight)
    keys = PERFECT[name].keys()
    validated = runner.message_hub.log_scalars
    if name != 'ochuman':
        assert all(np.isfinite(validated[f'val/{key}'].current()) for key in keys)
    tested = runner.test()
    assert all(np.isfinite(tested[key]) for key in keys)


def test_four_sets_teach_a_head_each(roots, photos, tmp_path):
    config = small('configs/refinepose_vitb_four_heads_mpii.py', photos)
    headboxes = np.zeros((2, 2, 5))
    headboxes[1] = 100.
    savemat(config.val_dataloader.dataset.headbox_file, dict(headboxes_src=headboxes))
    assert problems_of(config) == []
    config.train_dataloader.batch_size = 30  # all of them
    runner = runner_of(config, tmp_path)
    before = {name: head.final_layer.weight.detach().clone()
              for name, head in runner.model.heads.items()}
    assert [*before] == ['mpii', 'coco', 'aic', 'crowdpose']
    runner.train()
    assert len(runner.train_dataloader.dataset) == 30  # 12 of COCO, 9 of AI Challenger, 5, 4
    for name, weight in before.items():
        assert not torch.equal(weight, runner.model.heads[name].final_layer.weight)
        assert runner.message_hub.log_scalars[f'train/loss_kpt_{name}'].current() > 0
    assert 0 <= runner.test()['PCK'] <= 100


def test_draws_skeletons_on_a_photo(config, tmp_path):
    """A checkpoint of the config predicts; the annotated joints are drawn at their places."""
    weights = tmp_path / 'weights.pth'
    torch.save(MODELS.build(config.model).state_dict(), weights)
    predictor = BatchPredictor(config, weights, flip_test=False)
    dataset = DATASETS.build(dict(config.test_dataloader.dataset, bbox_file=None, pipeline=[
        dict(type='LoadCompleteImage')]))
    sample = dataset[0]
    poses = predictor(sample['img'], sample['bbox'])
    keypoints = config.model.head.out_channels
    assert poses.keypoints.shape == (1, keypoints, 2) and np.isfinite(poses.keypoints).all()
    visible = sample['keypoints_visible'].astype(np.float32)
    drawn = Painter(predictor.metainfo, .3)(
        sample['img'], Poses(sample['keypoints'].astype(np.float32), visible))
    changed = (drawn != sample['img']).any(axis=2)
    height, width = changed.shape
    for x, y in np.rint(sample['keypoints'][visible > 0]).astype(int):
        if 0 <= x < width and 0 <= y < height:
            assert changed[y, x]


def test_posetrack_test_asks_for_its_evaluator(photos):
    config = Config.fromfile(ROOT / 'configs/refinepose_vitb_posetrack18.py')
    assert config.test_evaluator.type == 'PoseTrack18Metric'
    if importlib.util.find_spec('poseval') is None:
        with pytest.raises(ImportError, match='poseval'):
            METRICS.build(config.test_evaluator)


def test_ochuman_has_its_split_from_the_environment(monkeypatch):
    monkeypatch.setenv('OCHUMAN_SPLIT', 'val')
    config = Config.fromfile(ROOT / 'configs/refinepose_vitb_ochuman.py')
    file = 'annotations/ochuman_coco_format_val_range_0.00_1.00.json'
    assert config.test_dataloader.dataset.ann_file == file
    assert config.test_evaluator.ann_file.endswith(file)
    assert config.test_dataloader.dataset.bbox_file is None


@pytest.mark.parametrize('kind', ['crowdpose', 'humanart', 'posetrack18'])
@pytest.mark.parametrize('boxes, expected', [('gt', None), ('/boxes.json', '/boxes.json')])
def test_boxes_of_tests_come_from_the_environment(kind, boxes, expected, monkeypatch):
    monkeypatch.setenv(f'{kind.upper()}_BOXES', boxes)
    config = Config.fromfile(ROOT / f'configs/refinepose_vitb_{kind}.py')
    assert config.test_dataloader.dataset.bbox_file == expected
    assert 'bbox_file' not in config.val_dataloader.dataset
