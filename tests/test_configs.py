"""Every config of the tree loads, builds with its real widths, and takes a training step."""

import os

import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import KEYPOINT_CODECS, MODELS, TRANSFORMS
from mmpose.structures import PoseDataSample

CONFIGS = sorted(
    str(path.relative_to(ROOT)) for folder in ('configs', 'projects')
    for path in (ROOT / folder).rglob('*.py') if '_base_' not in path.parts)
PARAMS = {  # millions, with real widths
    'configs/refinepose_tiny_toy.py': 1.041,
    'configs/refinepose_vitb_coco.py': 93.0,
    'configs/refinepose_vitb_mpii.py': 93.0,
    'configs/refinepose_vitl_coco.py': 316.3,
    'configs/refinepose_vitl_mpii.py': 316.4,
    'configs/refinepose_vith_coco.py': 651.4,
    'configs/refinepose_vith_mpii.py': 651.5,
    'projects/overfit_real_photos/overfit_tiny_coco.py': 1.041,
}


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
    for pipeline in (config.train_dataloader.dataset.pipeline,
                     config.val_dataloader.dataset.pipeline):
        for transform in pipeline:
            TRANSFORMS.build(transform)
    # The same codec encodes, decodes and gives the crop its size.
    encoder = next(t.encoder for t in config.train_dataloader.dataset.pipeline
                   if t.type == 'GenerateTarget')
    crops = [t.input_size for loader in (config.train_dataloader, config.val_dataloader)
             for t in loader.dataset.pipeline if t.type == 'TopdownAffine']
    assert config.model.head.decoder == encoder
    assert [tuple(crop) for crop in crops] == [tuple(encoder.input_size)] * 2
    assert tuple(config.model.backbone.img_size) == tuple(encoder.input_size[::-1])


@pytest.mark.parametrize('path', CONFIGS)
def test_real_model_has_its_parameters_and_heatmap_size(path):
    config = load(path)
    codec = KEYPOINT_CODECS.build(config.model.head.decoder)
    with torch.device('meta'):
        model = MODELS.build(config.model)
        heatmaps = model(torch.empty(1, 3, *config.model.backbone.img_size), None, mode='tensor')
    params = sum(p.numel() for p in model.parameters()) / 1e6
    assert params == pytest.approx(PARAMS[path], rel=2e-3)
    assert heatmaps.shape == (1, config.model.head.out_channels, *codec.heatmap_size[::-1])


def test_the_table_of_parameters_names_every_config_and_no_other():
    assert set(PARAMS) == set(CONFIGS)


def shrink(config):
    """The same model, narrow enough to step on a CPU; everything else stays."""
    arch = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
    config.model.backbone.arch = arch
    config.model.backbone.init_cfg = None
    config.model.head.in_channels = 32
    return config


@pytest.mark.parametrize('path', CONFIGS)
def test_takes_a_training_step(path):
    config = shrink(load(path))
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    codec = KEYPOINT_CODECS.build(config.model.head.decoder)
    keypoints = config.model.head.out_channels
    batch = []
    for _ in range(2):
        sample = PoseDataSample()
        sample.gt_fields = PixelData(heatmaps=torch.rand(keypoints, *codec.heatmap_size[::-1]))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, keypoints))
        batch.append(sample)
    images = [torch.randint(0, 256, (3, *config.model.backbone.img_size), dtype=torch.uint8)] * 2
    before = model.head.final_layer.weight.detach().clone()
    log = model.train_step(dict(inputs=images, data_samples=batch), wrapper)
    assert torch.isfinite(log['loss']) and log['loss'] > 0
    assert not torch.equal(before, model.head.final_layer.weight)


def test_roots_come_from_the_environment(monkeypatch):
    monkeypatch.setenv('COCO_ROOT', '/photos/coco')
    monkeypatch.setenv('COCO_BOXES', 'gt')
    config = load('configs/refinepose_vitl_coco.py')
    assert config.train_dataloader.dataset.data_root == '/photos/coco'
    assert config.val_dataloader.dataset.bbox_file is None
    assert config.val_evaluator.ann_file == '/photos/coco/annotations/person_keypoints_val2017.json'
    monkeypatch.setenv('COCO_BOXES', '/boxes.json')
    dataset = load('configs/refinepose_vitb_coco.py').test_dataloader.dataset
    assert dataset.bbox_file == '/boxes.json'
    monkeypatch.delenv('COCO_BOXES')
    boxes = load('configs/refinepose_vitb_coco.py').val_dataloader.dataset.bbox_file
    assert boxes.endswith('COCO_val2017_detections_AP_H_56_person.json')
    assert os.path.dirname(boxes) == '/photos/coco/person_detection_results'


def test_the_papers_learning_rate_is_one_switch():
    config = load('configs/refinepose_vitb_coco.py')
    assert config.optim_wrapper.optimizer.lr == 5e-4
    config.merge_from_dict({'optim_wrapper.optimizer.lr': 5e-3})
    assert config.optim_wrapper.optimizer.lr == 5e-3
    assert config.train_cfg.max_epochs == 310
    assert config.auto_scale_lr.base_batch_size == 512
