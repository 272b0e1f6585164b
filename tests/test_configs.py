"""Every config of the tree loads, builds with its real widths, and takes a training step."""

import importlib.util
import json
import os
import re
import shutil

import modelindex
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmcv.cnn.bricks.drop import DropPath
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import InstanceData, PixelData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS, KEYPOINT_CODECS, MODELS, TRANSFORMS
from mmpose.structures import PoseDataSample

from refinepose_mm.datasets import toy_people

CONFIGS = sorted(
    str(path.relative_to(ROOT)) for folder in ('configs', 'projects')
    for path in (ROOT / folder).rglob('*.py')
    if '_base_' not in path.parts and '\n_base_ = ' in path.read_text())
# Rows of the paper stand in the index; studies of their own do not.
PAPER = [path for path in CONFIGS if path.startswith(('configs/', 'projects/ablations/'))]
INDEX = modelindex.load(str(ROOT / 'model-index.yml'))
INDEX.build_models_with_collections()
PARAMETERS = {model.config: model.metadata.parameters for model in INDEX.models}


# Of one person in every data set, in pixels; the names of joints that the sets share are equal.
BODY = {name: (30. + 13 * i, 20. + 47 * i % 190) for i, name in enumerate([
    'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder',
    'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip',
    'left_knee', 'right_knee', 'left_ankle', 'right_ankle', 'head_top', 'neck', 'upper_neck',
    'pelvis', 'thorax'])}
SAME = dict(top_head='head_top')


def joint_names(kind):
    info = parse_pose_metainfo(dict(from_file=f'configs/_base_/datasets/{kind}.py'))
    names = [info['keypoint_id2name'][i] for i in range(info['num_keypoints'])]
    return [SAME.get(name, name) for name in names]


def place(name, index):
    return BODY.get(name, (40. + 11 * index % 230, 30. + 29 * index % 170))


# Set: folder of its training images, and the file of its annotations.
FOLDERS = dict(
    coco=('train2017', 'annotations/person_keypoints_train2017'),
    aic=('ai_challenger_keypoint_train_20170902/keypoint_train_images_20170902',
         'annotations/aic_train'),
    mpii=('images', 'annotations/mpii_train'),
    crowdpose=('images', 'annotations/mmpose_crowdpose_trainval'),
    coco_wholebody=('train2017', 'annotations/coco_wholebody_train_v1.0'),
    halpe=('hico_20160224_det/images/train2015', 'annotations/halpe_train_v1'),
    humanart=('', 'HumanArt/annotations/training_humanart_coco'),
    posetrack18=('', 'annotations/posetrack18_train'),
    jhmdb=('', 'annotations/Sub1_train'),
    ap10k=('data', 'annotations/ap10k-train-split1'),
    animalpose=('', 'annotations/animalpose_train'),
    onehand10k=('', 'annotations/onehand10k_train'),
    wflw=('images', 'annotations/face_landmarks_wflw_train'),
    lspet=('train', 'lspet_train'))
# COCO-WholeBody's lists of joints, and how many each has.
WHOLEBODY = dict(keypoints=17, foot_kpts=6, face_kpts=68, lefthand_kpts=21, righthand_kpts=21)


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    """Every data set with one person on one toy photo, and its root in the environment."""
    root = tmp_path_factory.mktemp('data')
    toy_people.generate(root / 'toy', num_train=2, num_val=1)
    photo = next((root / 'toy/train').iterdir())
    lspet = [joint[0] for joint in Config.fromfile(ROOT / 'projects/lspet/metainfo.py').joints]
    for kind, (images, annotations) in FOLDERS.items():
        folder = root / ('coco' if kind == 'coco_wholebody' else kind)
        (folder / images).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, folder / images)
        path = folder / f'{annotations}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        names = lspet if kind == 'lspet' else joint_names(kind)
        places = [place(name, index) for index, name in enumerate(names)]
        path.write_text(json.dumps(person_of(kind, photo.name, places)))
    shutil.copy(path, root / 'lspet/lspet_more.json')  # the last one was LSP's
    shutil.copytree(root / 'lspet/train', root / 'lspet/more')
    with pytest.MonkeyPatch.context() as patch:
        for kind in (*FOLDERS, 'toy'):
            patch.setenv(f'{kind.upper()}_ROOT', str(root / kind))
        yield


def person_of(kind, photo, places):
    """The annotation file of a set with one person."""
    if kind == 'mpii':
        joints = [[x + 1, y + 1] for x, y in places]  # 1-based
        return [dict(image=photo, center=[150, 110], scale=1.2, joints=joints,
                     joints_vis=[1] * len(places))]
    person = dict(id=1, image_id=1, category_id=1, iscrowd=0, area=9000, bbox=[20, 10, 290, 220],
                  num_keypoints=len(places), segmentation=[], center=[150, 110], scale=1.2,
                  keypoints=[number for joint in places for number in (*joint, 2)])
    if kind == 'coco_wholebody':
        rest = person['keypoints']
        for name, count in WHOLEBODY.items():
            person[name], rest = rest[:3 * count], rest[3 * count:]
    return dict(images=[dict(id=1, file_name=photo, width=320, height=240)],
                categories=[dict(id=1, name='person')], annotations=[person])


def load(path):
    config = Config.fromfile(ROOT / path)
    init_default_scope(config.default_scope)
    return config


@pytest.mark.parametrize('path', CONFIGS)
def test_loads_with_what_mmpose_reads(path):
    config = load(path)
    assert config.custom_imports.imports == ['refinepose_mm']
    assert config.data_mode == 'topdown'
    assert config.dataset_type == config.val_dataloader.dataset.type  # MMPoseInferencer's keys
    training = pipelines(config.train_dataloader.dataset)
    validation = pipelines(config.val_dataloader.dataset)
    for transform in sum([*training, *validation], []):
        TRANSFORMS.build(transform)
    # The same codec encodes, decodes and gives the crop its size.
    encoders = [t.encoder for pipeline in training for t in pipeline if t.type == 'GenerateTarget']
    crops = [t.input_size for pipeline in [*training, *validation]
             for t in pipeline if t.type == 'TopdownAffine']
    decoder = config.model.head.decoder
    assert encoders == [decoder] * len(training)
    assert [tuple(crop) for crop in crops] == [tuple(decoder.input_size)] * (len(training) + 1)
    assert tuple(config.model.backbone.img_size) == tuple(decoder.input_size[::-1])


def pipelines(dataset):
    """What the samples of a data set go through; of several sets, each one's."""
    return [[*part.get('pipeline', []), *dataset.pipeline] for part in dataset['datasets']
            ] if 'datasets' in dataset else [list(dataset.pipeline)]


@pytest.mark.parametrize('path', CONFIGS)
def test_real_model_has_its_heatmap_size_and_the_parameters_of_the_index(path):
    config = load(path)
    codec = KEYPOINT_CODECS.build(config.model.head.decoder)
    with torch.device('meta'):
        model = MODELS.build(config.model)
        heatmaps = model(torch.empty(1, 3, *config.model.backbone.img_size), None, mode='tensor')
    parameters = sum(p.numel() for p in model.parameters())
    assert path not in PARAMETERS or parameters == PARAMETERS[path]
    assert heatmaps.shape == (1, config.model.head.out_channels, *codec.heatmap_size[::-1])


def shrink(config):
    """The same model, narrow enough to step on a CPU; everything else stays."""
    config.model.backbone.arch = dict(
        embed_dims=32, num_layers=config.model.backbone.get('group_size', 4), num_heads=4,
        feedforward_channels=64)
    config.model.backbone.init_cfg = None
    config.model.head.in_channels = 32
    if 'base_channels' in config.model.backbone.get('stem', {}):
        config.model.backbone.stem.base_channels = 2
    if 'channels' in config.model.head:
        config.model.head.channels = 16
    return config


@pytest.mark.parametrize('path', CONFIGS)
def test_every_parameter_is_used(path):
    """DDP without find_unused_parameters needs that, and an unused one is a mistake anyhow."""
    config = shrink(load(path))
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    codec = KEYPOINT_CODECS.build(config.model.head.decoder)
    heads = getattr(model, 'heads', dict(only=model.head))
    samples = []
    for name, head in [*heads.items()] * 2:
        torch.nn.init.normal_(head.final_layer.weight)  # gradients that do not round to zero
        keypoints = head.out_channels
        sample = PoseDataSample(metainfo=dict(dataset_name=name))
        sample.gt_fields = PixelData(heatmaps=torch.rand(keypoints, *codec.heatmap_size[::-1]))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, keypoints))
        samples.append(sample)
    # Stochastic depth may drop a block from a step; here nothing may be dropped by chance.
    for module in model.modules():
        if isinstance(module, DropPath):
            module.drop_prob = 0.
    images = torch.randn(len(samples), 3, *config.model.backbone.img_size)
    losses = model(images, samples, mode='loss')
    model.parse_losses(losses)[0].backward()
    unused = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not unused


# Narrow as they are here, the configs of L and H differ from that of B in rates alone.
@pytest.mark.parametrize('path', [
    pytest.param(path, marks=pytest.mark.slow) if re.search('vit[lh]_', path) else path
    for path in CONFIGS])
def test_takes_a_training_step(path, roots):
    config = shrink(load(path))
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    optimizer = config.optim_wrapper.optimizer
    if optimizer.type == 'ZeroRedundancyOptimizer':  # needs processes: see test_distributed.py
        optimizer.type = optimizer.pop('optimizer_type')
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    config.train_dataloader.update(batch_size=4 if 'heads' in path else 2, num_workers=0)
    loader = Runner.build_dataloader(config.train_dataloader, seed=0)
    before = model.head.final_layer.weight.detach().clone()
    log = model.train_step(next(iter(loader)), wrapper)
    assert torch.isfinite(log['loss']) and log['loss'] > 0
    assert not torch.equal(before, model.head.final_layer.weight)


FOUR = [path for path in CONFIGS if 'four_datasets' in path]
PARTS = ['coco', 'aic', 'mpii', 'crowdpose']


@pytest.mark.parametrize('path', FOUR)
def test_every_part_of_four_datasets_gives_samples(path, roots):
    config = load(path)
    dataset = DATASETS.build(config.train_dataloader.dataset)
    assert dataset.lens == [1] * len(PARTS)
    for seed in range(4):  # with and without a flip
        np.random.seed(seed)
        for index in range(len(dataset)):
            heatmaps = dataset[index]['data_samples'].gt_fields.heatmaps
            assert len(heatmaps) == config.model.head.out_channels and heatmaps.max() > .9


@pytest.mark.parametrize('target', ['coco', 'mpii'])
def test_every_set_of_four_heads_gives_targets_of_its_own_joints(target, roots):
    """Learned perfectly, each joint is found where it was annotated; MPII's are 0-based then."""
    config = load(f'configs/refinepose_vitb_four_heads_{target}.py')
    codec = KEYPOINT_CODECS.build(config.model.head.decoder)
    for part in config.train_dataloader.dataset.datasets:
        part.pipeline = [step for step in part.pipeline if not step.type.startswith('Random')]
    dataset = DATASETS.build(config.train_dataloader.dataset)
    model = MODELS.build(shrink(config).model)
    assert sorted(model.heads) == sorted(PARTS) and model.head is model.heads[target]
    for number, name in enumerate(PARTS):
        sample = dataset[number]['data_samples']
        assert sample.dataset_name == name
        heatmaps = sample.gt_fields.heatmaps
        assert len(heatmaps) == model.heads[name].out_channels == len(joint_names(name))
        keypoints, scores = codec.decode(heatmaps.numpy())
        found = keypoints[0] / sample.input_size * sample.input_scale \
            + sample.input_center - .5 * np.array(sample.input_scale)
        expected = np.array([place(joint, i) for i, joint in enumerate(joint_names(name))])
        distances = np.linalg.norm(found - expected, axis=1)[scores[0] > .9]
        # At the border of the crop, where the codec's blur is cut, it is some pixels off.
        assert len(distances) >= 12 and np.median(distances) < .01


@pytest.mark.parametrize('flipped', [False, True])
@pytest.mark.parametrize('target', ['coco', 'mpii'])
def test_joints_of_four_datasets_are_matched_by_name(target, flipped, roots):
    config = load(f'configs/refinepose_vitb_four_datasets_{target}.py').train_dataloader.dataset
    config.pipeline = [dict(type='LoadCompleteImage'),
                       dict(type='RandomFlip', direction='horizontal', prob=float(flipped))]
    dataset = DATASETS.build(config)
    between = dict(pelvis=('left_hip', 'right_hip'), thorax=('left_shoulder', 'right_shoulder'))
    assert len(dataset) == len(PARTS)
    for number, part in enumerate(PARTS):
        sample, found, expected = dataset[number], {}, {}
        for index, name in enumerate(joint_names(target)):
            if sample['keypoints_visible'][0, index].min() > 0:
                found[name] = sample['keypoints'][0, index].tolist()
            # A flip puts what was on the left of the person on the right.
            there = mirrored(name) if flipped else name
            sources = [there] if there in joint_names(part) else between.get(name, ())
            if sources and set(sources) <= set(joint_names(part)):
                x, y = np.mean([BODY[source] for source in sources], axis=0)
                expected[name] = [319 - x if flipped else x, y]
        assert found.keys() == expected.keys() and len(found) >= 12
        for name in found:
            assert found[name] == pytest.approx(expected[name]), (part, name)


def mirrored(name):
    side, _, rest = name.partition('_')
    return {'left': f'right_{rest}', 'right': f'left_{rest}'}.get(side, name)


def test_model_index_names_every_config_and_no_other():
    assert sorted(model.config for model in INDEX.models) == sorted(PAPER)
    assert len({model.name for model in INDEX.models}) == len(INDEX.models)
    for model in INDEX.models:
        assert model.metadata.parameters > 0
        assert model.in_collection in ('RefinePose', 'ViTPose')
        assert not model.results  # none was measured; a result would need a checkpoint


def test_index_of_configs_links_every_config_and_no_other():
    folder = ROOT / 'configs'
    linked = {os.path.relpath((folder / link).resolve(), ROOT)
              for link in re.findall(r'\]\(([\w./-]+\.py)\)', (folder / 'README.md').read_text())}
    assert linked == set(PAPER)


def test_index_of_configs_is_what_the_metafiles_say():
    path = ROOT / 'docs/hooks/config_index.py'
    spec = importlib.util.spec_from_file_location('config_index', path)
    index = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(index)
    readme = (ROOT / 'configs/README.md').read_text()
    assert readme == index.with_index(readme), 'run: python docs/hooks/config_index.py'
    # The paper's rows are marked, each with a table.
    assert readme.count('| Table 1: AP') == 12 and '| Table 2: PCKh 94.2 |' in readme
    with pytest.raises(ValueError, match='needs the marks'):
        index.with_index('# Configs')


def test_roots_come_from_the_environment(monkeypatch):
    monkeypatch.setenv('COCO_ROOT', '/photos/coco')
    config = load('configs/refinepose_vitl_coco.py')
    assert config.train_dataloader.dataset.data_root == '/photos/coco'
    assert config.val_evaluator.ann_file == '/photos/coco/annotations/person_keypoints_val2017.json'


DETECTIONS = '/photos/coco/person_detection_results/COCO_{}_person.json'
VAL = DETECTIONS.format('val2017_detections_AP_H_56')
TESTDEV = DETECTIONS.format('test-dev2017_detections_AP_H_609')


@pytest.mark.parametrize('boxes, val, testdev', [
    (None, VAL, TESTDEV), ('AP_H_56', VAL, TESTDEV), ('ap_h_56', VAL, TESTDEV),
    ('gt', None, 'error'), ('GT', None, 'error'), ('/boxes.json', '/boxes.json', '/boxes.json'),
    ('AP_H_65', 'error', 'error')])
def test_boxes_of_tests_come_from_the_environment(boxes, val, testdev, monkeypatch):
    monkeypatch.setenv('COCO_ROOT', '/photos/coco')
    if boxes:
        monkeypatch.setenv('COCO_BOXES', boxes)
    for path, expected in (('configs/refinepose_vitb_coco.py', val),
                           ('configs/vitpose_vitl_coco_testdev.py', testdev)):
        if expected == 'error':
            with pytest.raises(ValueError, match='COCO_BOXES'):
                load(path)
        else:
            config = load(path)
            assert config.test_dataloader.dataset.bbox_file == expected
            # Training starts without a detection file.
            assert 'bbox_file' not in config.val_dataloader.dataset


def test_the_papers_learning_rate_is_one_switch():
    config = load('configs/refinepose_vitb_coco.py')
    assert config.optim_wrapper.optimizer.lr == 5e-4
    config.merge_from_dict({'optim_wrapper.optimizer.lr': 5e-3})
    assert config.optim_wrapper.optimizer.lr == 5e-3
    assert config.train_cfg.max_epochs == 310
    assert config.auto_scale_lr.base_batch_size == 512


def test_an_empty_root_is_none(monkeypatch):
    """`COCO_ROOT= mim train` must not look for /annotations."""
    monkeypatch.setenv('COCO_ROOT', '')
    config = load('configs/refinepose_vitb_coco.py')
    assert config.data_root == 'data/coco/'
    assert config.val_evaluator.ann_file.startswith('data/coco/')
