"""Large batches are inferred person by person, and nobody can tell by the result."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from refinepose_mm.models import FusionHead, GradualEmbedding, one_by_one

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)


@pytest.fixture
def model():
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='TopdownPoseEstimator',
        backbone=dict(type='ShortcutViT', arch=ARCH, img_size=(64, 48)),
        head=dict(type='FusionHead', in_channels=32, out_channels=4)))
    model.init_weights()
    return model.eval()


def count_batches(model):
    """Batch sizes that reach the first layer of the stem and the last one of the head."""
    seen = dict(stem=[], head=[])
    for name, layer in (('stem', model.backbone.patch_embed.conv7x7),
                        ('head', model.head.final_layer)):
        layer.register_forward_hook(lambda _, inputs, output, name=name: seen[name].append(
            len(output)))
    return seen


def test_results_are_the_same(model, monkeypatch):
    images = torch.randn(3, 3, 64, 48)
    seen = count_batches(model)
    with torch.no_grad():
        together = model(images, None, mode='tensor')
        monkeypatch.setattr(one_by_one, 'LARGE', 0)
        alone = model(images, None, mode='tensor')
    assert seen == dict(stem=[3, 1, 1, 1], head=[3, 1, 1, 1])
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-7)


def test_training_and_gradients_need_the_whole_batch(model, monkeypatch):
    monkeypatch.setattr(one_by_one, 'LARGE', 0)
    seen = count_batches(model)
    images = torch.randn(3, 3, 64, 48)
    model(images, None, mode='tensor')  # evaluation, but with gradients
    with torch.no_grad():
        model.train()(images, None, mode='tensor')
    assert seen == dict(stem=[3, 3], head=[3, 3])


@pytest.mark.parametrize('module, shape, values', [
    (GradualEmbedding(768), (8, 3, 256, 192), 96 * 128 * 96),
    (FusionHead(768, 17), (8, 768, 16, 12), 768 * 64 * 48)])
def test_eight_persons_of_refinepose_b_are_a_large_batch_and_one_is_none(module, shape, values):
    with torch.no_grad():
        assert one_by_one.prefers_one_by_one(module.eval(), torch.empty(shape), values)
        assert not one_by_one.prefers_one_by_one(module, torch.empty(1, *shape[1:]), values)
