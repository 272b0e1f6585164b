import pytest
import torch
import torch.nn.functional as F

from refinepose_mm.models import FusionHead, PoseFeatures

D, K = 32, 5


def features(positions=True, width=D, height=4, batch=2):
    generator = torch.Generator().manual_seed(0)

    def random_positions(channels, scale):
        shape = (batch, channels, height * scale, 3 * scale)
        return torch.randint(0, 4, shape, generator=generator, dtype=torch.uint8)

    stages = (random_positions(width // 2, 2), random_positions(width, 1)) if positions else ()
    return PoseFeatures(stages, torch.randn(batch, width, height, 3, generator=generator))


def head_of(**arguments):
    head = FusionHead(D, K, **arguments)
    head.init_weights()
    return head


@pytest.mark.parametrize('switches', [
    dict(), dict(unpool=False), dict(aggregate=False), dict(unpool=False, aggregate=False),
    dict(channel_match='taper'), dict(channels=16, unpool=False)
])
def test_heatmaps_are_four_times_the_map(switches):
    heatmaps = head_of(**switches)(features())
    assert heatmaps.shape == (2, K, 16, 12)
    assert heatmaps.dtype == torch.float32


def flat_indices(positions):
    """Positions as the flat indices that nn.MaxUnpool2d reads."""
    height, width = positions.shape[-2:]
    row = 2 * torch.arange(height)[:, None] + positions // 2
    column = 2 * torch.arange(width) + positions % 2
    return row * 2 * width + column


def test_forward_is_equations_11_to_13():
    head = head_of().eval()
    feats = features()
    x = feats.feature_map
    for step, positions in zip(head.up_samples, reversed(feats.positions)):
        indices = flat_indices(positions.long())
        indices = indices.repeat(1, D // indices.shape[1], 1, 1)  # channel k uses k mod D/2
        unpooled = F.max_unpool2d(x, indices, 2)
        bilinear = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
        first, second = step.aggregate
        x = second(first(unpooled + bilinear))
    torch.testing.assert_close(head(feats), head.final_layer(x))


@pytest.mark.parametrize('unpool', [True, False])
def test_without_aggregation_a_step_is_linear_unless_it_has_an_activation(unpool):
    feats = features()
    other = features(width=D)._replace(feature_map=torch.rand_like(feats.feature_map))
    both = feats._replace(feature_map=feats.feature_map + other.feature_map)
    bias = torch.randn(K)[:, None, None]
    for act_cfg, is_linear in ((None, True), (dict(type='ReLU'), False)):
        head = head_of(unpool=unpool, aggregate=False, act_cfg=act_cfg)
        head.final_layer.bias.data = bias.flatten()
        total = head(both) - bias
        parts = head(feats) + head(other._replace(positions=feats.positions)) - 2 * bias
        assert torch.allclose(total, parts, atol=1e-6) == is_linear

    x = feats.feature_map  # `head` is the one with the ReLU
    for step, positions in zip(head.up_samples, reversed(feats.positions)):
        x = step._enlarge(x, positions).relu()
    torch.testing.assert_close(head(feats), head.final_layer(x))


def test_taper_mirrors_the_stem():
    head = head_of(channel_match='taper')
    first, second = head.up_samples
    assert first.aggregate[0].pointwise_conv.out_channels == D // 2
    assert second.aggregate[1].pointwise_conv.out_channels == head.final_layer.in_channels == D // 2


def test_tokens_are_narrowed_before_the_first_step():
    head = head_of(channels=D // 2).eval()
    feats = features(width=D // 2)._replace(feature_map=features().feature_map)
    conv, norm = head.narrow.conv, head.narrow.bn
    norm.running_mean.fill_(.1)
    narrow = torch.relu(norm(F.conv2d(feats.feature_map, conv.weight)))
    same = FusionHead(D // 2, K).eval()
    same.load_state_dict(head.state_dict(), strict=False)
    torch.testing.assert_close(head(feats), same(feats._replace(feature_map=narrow)))
    with pytest.raises(ValueError, match='channels that divide 16'):
        head(features())


def test_initial_heatmaps_neither_vanish_nor_reach_order_one():
    """A std of 1e-3 in every layer gives 5e-9; torch's default gives heatmaps of order one."""
    torch.manual_seed(0)
    head = FusionHead(192, 17).eval()
    head.init_weights()
    seen = {}
    head.final_layer.register_forward_pre_hook(lambda module, args: seen.update(x=args[0]))
    heatmaps = head(features(width=192))
    assert .1 < seen['x'].std() < 10
    assert 1e-3 < heatmaps.std() < .3
    assert head.final_layer.weight.std().item() == pytest.approx(1e-3, rel=.05)


def test_heatmaps_stay_float32_under_autocast():
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert head_of()(features()).dtype == torch.float32


@pytest.mark.parametrize('feats, message', [
    (features(positions=False), r'needs the pool positions of a stem that max-pools, got none'),
    (features(width=2 * D), f'feature map of {D} channels, got {2 * D}'),
    (PoseFeatures(features().positions[:1], features().feature_map),
     'unpools 2 times .* got 1'),
    (PoseFeatures(features().positions[::-1], features().feature_map),
     r'step 1 expects positions of 4x3 .* got \(2, 16, 8, 6\)'),
    (PoseFeatures((features().positions[0][:, :5], features().positions[1]),
                  features().feature_map), r'channels that divide 32; got \(2, 5, 8, 6\)'),
    (PoseFeatures(features(batch=1).positions, features().feature_map), 'batch of 2'),
    ((torch.zeros(2, D, 4, 3), ), 'got none'),
])
def test_features_that_do_not_fit_are_refused(feats, message):
    with pytest.raises(ValueError, match=message):
        head_of()(feats)


@pytest.mark.parametrize('arguments, message', [
    (dict(channel_match='fold'), "repeat, taper, got 'fold'"),
    (dict(channel_match='taper', aggregate=False), 'needs aggregate=True'),
    (dict(channels=0), 'at least 1, got 0'),
])
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        FusionHead(D, K, **arguments)
