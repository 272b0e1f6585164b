"""Stem, encoder and head together, as MMPose builds and calls them."""

import copy

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

import refinepose_mm  # noqa: F401, registers the modules
from refinepose_mm.complexity import count
from refinepose_mm.recipes import refinepose, vitpose

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
SIZE = (64, 48)
K = 4
STEMS = {
    'gradual': dict(type='GradualEmbedding'),
    'conv only': dict(type='GradualEmbedding', max_pool=False),
    'max-pool only': dict(type='GradualEmbedding', conv=False),
    'no aggregation': dict(type='GradualEmbedding', aggregate=False),
    'patches': dict(type='PatchEmbedding'),
    'half': dict(type='GradualEmbedding', base_channels=2),
    'early convolutions': dict(type='EarlyConvEmbedding'),
}
HEADS = {
    'fusion': dict(type='FusionHead'),
    'taper': dict(type='FusionHead', channel_match='taper'),
    'half': dict(type='FusionHead', channels=16, unpool=False),
    'bilinear': dict(type='FusionHead', unpool=False, aggregate=False),
    'bilinear + unpool': dict(type='FusionHead', aggregate=False),
    'bilinear + aggregation': dict(type='FusionHead', unpool=False),
    'classic': dict(type='HeatmapHead', deconv_out_channels=(16, 16), deconv_kernel_sizes=(4, 4)),
}


def build(stem='gradual', head='fusion', shortcut='identity', test_cfg=None, **backbone):
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='TopdownPoseEstimator',
        backbone=dict(type='ShortcutViT', arch=ARCH, img_size=SIZE, stem=STEMS[stem],
                      shortcut=shortcut, **backbone),
        head=dict(HEADS[head], in_channels=32, out_channels=K, decoder=dict(
            type='UDPHeatmap', input_size=SIZE[::-1], heatmap_size=(12, 16), sigma=1.)),
        test_cfg=test_cfg))
    model.init_weights()
    return model


def samples(batch):
    """Data samples with random targets, as the pipelines pack them."""
    packed = []
    for _ in range(batch):
        sample = PoseDataSample(metainfo=dict(
            input_size=SIZE[::-1], input_center=np.array([24., 32.]),
            input_scale=np.array([48., 64.]),
            flip_indices=[1, 0, 3, 2]))
        sample.gt_fields = PixelData(heatmaps=torch.rand(K, 16, 12))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, K))
        sample.gt_instances = InstanceData(
            bboxes=torch.zeros(1, 4).numpy(), bbox_scores=torch.ones(1).numpy())
        packed.append(sample)
    return packed


def needs_positions(stem, head):
    return 'unpool' not in HEADS[head] and head != 'classic' and stem in (
        'conv only', 'patches', 'early convolutions')


@pytest.mark.parametrize('stem', STEMS)
@pytest.mark.parametrize('head', HEADS)
def test_every_parameter_receives_a_gradient(stem, head):
    model = build(stem, head, 'gated')
    image = torch.randn(2, 3, *SIZE)
    if needs_positions(stem, head):
        with pytest.raises(ValueError, match='needs the pool positions of a stem that max-pools'):
            model(image, samples(2), mode='loss')
        return
    losses = model(image, samples(2), mode='loss')
    losses['loss_kpt'].backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize('shortcut', ['identity', 'gated', 'none'])
def test_heatmaps_of_every_shortcut(shortcut):
    heatmaps = build(shortcut=shortcut)(torch.randn(2, 3, *SIZE), None, mode='tensor')
    assert heatmaps.shape == (2, K, 16, 12)


def test_flip_test_averages_two_independent_passes():
    """The two passes must not share positions: the second would overwrite the first."""
    flipping = dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False, output_heatmaps=True)
    model = build(test_cfg=flipping).eval()
    image = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        straight = model(image, None, mode='tensor')
        mirrored = model(image.flip(-1), None, mode='tensor').flip(-1)[:, [1, 0, 3, 2]]
        results = model(image, samples(2), mode='predict')
    got = torch.stack([result.pred_fields.heatmaps for result in results])
    assert not torch.allclose(straight, mirrored)
    torch.testing.assert_close(got, (straight + mirrored) / 2)


def test_a_few_steps_learn_from_the_default_initialisation():
    """Guards both ditches of the initialisation: a network stuck at the empty heatmap, and one
    whose activations vanish on the way to the output."""
    model = build()
    image = torch.randn(4, 3, *SIZE)
    targets = samples(4)
    for index, target in enumerate(targets):
        heatmaps = torch.zeros(K, 16, 12)
        for joint in range(K):
            heatmaps[joint, 3 * index + 1, 2 * joint + 1] = 1.
        target.gt_fields.heatmaps = heatmaps
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    empty = torch.stack([t.gt_fields.heatmaps for t in targets]).square().mean().item()
    for _ in range(60):
        loss = model(image, targets, mode='loss')['loss_kpt']
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.)
        optimizer.step()
    assert loss.item() < .5 * empty


def test_state_dict_round_trip():
    model = build().eval()
    with torch.no_grad():
        other = build(head='fusion')
        for parameter in other.parameters():
            parameter.add_(1.)
        other.load_state_dict(copy.deepcopy(model.state_dict()))
        image = torch.randn(1, 3, *SIZE)
        assert torch.equal(
            model(image, None, mode='tensor'), other.eval()(image, None, mode='tensor'))


@pytest.mark.parametrize('config, params, gmacs', [
    # design figures of the paper's model and of MMPose's, and MMPose's published 90.0 M, 17.9
    (refinepose, 93.0, 24.3),
    (vitpose, 90.0, 17.9),
])
def test_counts_of_base(config, params, gmacs):
    counted_params, counted_macs = count(config('base', (256, 192)), (256, 192))
    assert counted_params / 1e6 == pytest.approx(params, rel=.01)
    assert counted_macs / 1e9 == pytest.approx(gmacs, rel=.01)
