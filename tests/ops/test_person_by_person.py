"""Large batches are inferred person by person, with the same result."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from refinepose_mm.models import FusionHead, GradualEmbedding, PoseFeatures
from refinepose_mm.ops import person_by_person

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
        monkeypatch.setattr(person_by_person, 'LARGE', 0)
        alone = model(images, None, mode='tensor')
    assert seen == dict(stem=[3, 1, 1, 1], head=[3, 1, 1, 1])
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-7)


def test_training_and_gradients_need_the_whole_batch(model, monkeypatch):
    monkeypatch.setattr(person_by_person, 'LARGE', 0)
    seen = count_batches(model)
    images = torch.randn(3, 3, 64, 48)
    model(images, None, mode='tensor')  # evaluation, but with gradients
    with torch.no_grad():
        model.train()(images, None, mode='tensor')
    assert seen == dict(stem=[3, 3], head=[3, 3])


@pytest.mark.parametrize('persons, at_once', [(8, False), (1, True)])
def test_eight_persons_of_refinepose_b_are_a_large_batch(persons, at_once):
    stem, head = GradualEmbedding(768).eval(), FusionHead(768, 17, unpool=False).eval()
    images, tokens = torch.zeros(persons, 3, 256, 192), torch.zeros(persons, 768, 16, 12)
    for module, batch, first in ((stem, images, stem.conv7x7),
                                 (head, PoseFeatures((), tokens), head.up_samples[0])):
        sizes = []

        def stop(_, inputs, sizes=sizes):
            sizes.append(len(inputs[0]))
            raise InterruptedError  # the size is all that matters

        first.register_forward_pre_hook(stop)
        with torch.no_grad(), pytest.raises(InterruptedError):
            module(batch)
        assert sizes == [1]
        assert (sizes[0] == persons) == at_once


def test_named_tuples_and_empty_tuples_are_split_and_joined(monkeypatch):
    monkeypatch.setattr(person_by_person, 'LARGE', 0)

    class Double(torch.nn.Module):

        @person_by_person.person_by_person(lambda self, features: 1)
        def forward(self, features):
            assert len(features.feature_map) == 1
            return PoseFeatures(features.positions, 2 * features.feature_map)

    features = PoseFeatures((), torch.arange(3.)[:, None])
    with torch.no_grad():
        doubled = Double().eval()(features)
    assert doubled.positions == () and doubled.feature_map.flatten().tolist() == [0, 2, 4]
