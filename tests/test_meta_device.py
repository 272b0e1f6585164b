"""What a GPU needs, where there is none: on torch's meta device, which has shapes and no numbers.

There a tensor of the CPU cannot meet one of the device, and a number cannot be looked at.
"""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from test_configs import CONFIGS

META = torch.device('meta')
# One of each kind of model, at its real size.
MODELS_OF = [path for path in CONFIGS if path.rpartition('/')[2] in (
    'refinepose_vitb_coco.py', 'refinepose_vith_coco.py',
    'vitpose_vitb_coco.py', 'refinepose_vitb_coco_wholebody.py', 'taper.py', 'gated_shortcut.py',
    'table4_bilinear.py', 'refinepose_tiny_toy.py')]


def build(path):
    config = Config.fromfile(ROOT / path)
    init_default_scope(config.default_scope)
    with META:
        model = MODELS.build(dict(config.model, train_cfg=dict(compute_acc=False)))
    return model, config.model


def samples(config, batch):
    """Targets on the device, and what decoding needs."""
    codec, joints = config.head.decoder, config.head.out_channels
    made = []
    for _ in range(batch):
        sample = PoseDataSample(metainfo=dict(
            input_size=codec.input_size, input_center=np.zeros(2), input_scale=np.ones(2),
            flip_indices=list(range(joints))))
        sample.gt_fields = PixelData(heatmaps=torch.rand(
            joints, *codec.heatmap_size[::-1], device=META))
        sample.gt_instance_labels = InstanceData(
            keypoint_weights=torch.ones(1, joints, device=META))
        sample.gt_instances = InstanceData(bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
        made.append(sample)
    return made


@pytest.mark.parametrize('path', MODELS_OF)
def test_a_training_step_stays_on_the_device(path):
    model, config = build(path)
    model.train()
    images = torch.rand(2, 3, *config.backbone.img_size, device=META)
    loss, _ = model.parse_losses(model(images, samples(config, 2), mode='loss'))
    loss.backward()
    torch.optim.AdamW(model.parameters()).step()
    assert loss.device == META
    assert all(p.grad.device == META for p in model.parameters())


@pytest.mark.parametrize('batch', [1, 5])
@pytest.mark.parametrize('path', MODELS_OF)
def test_flip_test_and_decoding_wait_for_the_device_twice_for_any_batch(path, batch, monkeypatch):
    model, config = build(path)
    copied = []

    def cpu(tensor):
        copied.append(tuple(tensor.shape))
        return torch.zeros(tensor.shape, dtype=tensor.dtype)

    monkeypatch.setattr(torch.Tensor, 'cpu', cpu)
    # The meta device has no autocast.
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())
    images = torch.rand(batch, 3, *config.backbone.img_size, device=META)
    with torch.no_grad():
        results = model.eval()(images, samples(config, batch), mode='predict')
    joints = config.head.out_channels
    assert len(results) == batch
    assert copied == [(batch, joints, 2), (batch, joints)]  # keypoints and scores, together
