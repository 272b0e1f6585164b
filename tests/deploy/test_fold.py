"""fold() and deploy() change how fast it is computed, and nothing else."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from refinepose_mm.deploy.fold import deploy, fold
from refinepose_mm.ops.linear import PackedLinear, can_pack

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
SIZE = (64, 48)
STEM, HEAD = dict(type='GradualEmbedding'), dict(type='FusionHead')


def build(stem=STEM, head=HEAD, arch=ARCH):
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='TopdownPoseEstimator',
        backbone=dict(type='ShortcutViT', arch=arch, img_size=SIZE, stem=stem),
        head=dict(head, in_channels=32, out_channels=4)))
    model.init_weights()
    nn.init.normal_(model.head.final_layer.weight)
    # Statistics that are not those of a fresh BatchNorm, so that folding has something to fold.
    model.train()
    with torch.no_grad():
        for _ in range(5):
            model(torch.randn(4, 3, *SIZE), None, mode='tensor')
    return model


@pytest.mark.parametrize('stem', [
    STEM, dict(STEM, aggregate=False), dict(STEM, conv=False), dict(type='PatchEmbedding'),
    dict(type='EarlyConvEmbedding'), dict(STEM, base_channels=2)])
@pytest.mark.parametrize('head', [
    HEAD, dict(HEAD, channel_match='taper'), dict(HEAD, aggregate=False), dict(HEAD, channels=16),
    dict(type='HeatmapHead', deconv_out_channels=(16, ), deconv_kernel_sizes=(4, ))])
@pytest.mark.parametrize('make', [fold, deploy])
def test_outputs_are_the_same(stem, head, make):
    fits = 'channels' not in head or 'base_channels' in stem
    if not (fits and stem['type'] == 'GradualEmbedding') and head['type'] == 'FusionHead':
        head = dict(head, unpool=False)
    model = build(stem, head)
    deployed = make(model)
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        expected = model.eval()(images, None, mode='tensor')
        found = deployed(images, None, mode='tensor')
    height = expected.abs().max()  # a trained network's heatmaps are 1 high
    torch.testing.assert_close(found / height, expected / height, rtol=0, atol=1e-4)


@pytest.mark.parametrize('family', [
    dict(eps=1e-2), dict(activation='gelu_tanh'), dict(activation='quick_gelu'),
    dict(layer_scale=True), dict(pre_norm=True), dict(rope=100.)])
@torch.no_grad()
def test_encoders_of_other_families_are_the_same(family):
    model = build(arch=dict(ARCH, **family)).double().eval()
    for name, value in model.backbone.named_parameters():
        if '.ls' in name or 'pre_norm' in name:
            nn.init.normal_(value)
    images = torch.randn(2, 3, *SIZE, dtype=torch.double)
    expected = model(images, None, mode='tensor')
    torch.testing.assert_close(fold(model)(images, None, mode='tensor'), expected)
    packed = deploy(model.float())
    torch.testing.assert_close(packed(images.float(), None, mode='tensor') / expected.abs().max(),
                               (expected / expected.abs().max()).float(), rtol=0, atol=1e-4)
    assert not any('.ls' in name for name in packed.state_dict())


def test_nothing_is_left_to_fold_and_the_model_stays_as_it_was():
    model = build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    deployed = deploy(model)
    assert not [m for m in deployed.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert isinstance(deployed.backbone.patch_embed.conv1x1, nn.Identity)
    assert model.state_dict().keys() == before.keys() and model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_linear_layers_are_packed_where_torch_can(monkeypatch):
    model = build()
    assert can_pack(model) == torch.backends.mkldnn.is_available()

    def count(model):
        return sum(isinstance(m, PackedLinear) for m in model.modules())

    assert count(deploy(model)) == (4 * ARCH['num_layers'] if can_pack(model) else 0)
    assert count(fold(model)) == count(deploy(model.bfloat16())) == 0
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: False)
    assert count(deploy(build())) == 0
