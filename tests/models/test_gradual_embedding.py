import pytest
import torch
import torch.nn.functional as F

from refinepose_mm.models import GradualEmbedding, PatchEmbedding

D = 64
SWITCHES = [
    dict(),
    dict(max_pool=False),
    dict(conv=False),
    dict(aggregate=False),
    dict(conv=False, aggregate=False),
    dict(base_channels=4),
]


@pytest.mark.parametrize('switches', SWITCHES)
def test_shapes(switches):
    positions, feature_map = GradualEmbedding(D, **switches)(torch.randn(2, 3, 64, 48))
    assert feature_map.shape == (2, D, 4, 3)
    width = 8 * switches.get('base_channels', D // 8)
    expected = [] if switches.get('max_pool') is False else [
        (2, width // 2, 8, 6), (2, width, 4, 3)]
    assert [tuple(p.shape) for p in positions] == expected


def test_forward_is_equations_3_to_10():
    torch.manual_seed(0)
    stem = GradualEmbedding(D).eval()
    image = torch.randn(2, 3, 64, 48)

    def aggregation(block, x):  # Eq. 8
        depthwise, pointwise = block.depthwise_conv.conv, block.pointwise_conv
        x = F.conv2d(x, depthwise.weight, padding=1, groups=x.shape[1])
        return torch.relu(pointwise.bn(F.conv2d(x, pointwise.conv.weight)))

    x = F.conv2d(image, stem.conv7x7.weight, stride=2, padding=3)
    x = aggregation(stem.aggregations[0], F.conv2d(x, stem.conv1x1.weight))  # Eq. 9
    for scale, aggregate in zip(stem.scale_blocks, stem.aggregations[1:]):
        pooled = F.max_pool2d(F.conv2d(x, scale.pool_conv.weight), 2)
        x = F.conv2d(x, scale.conv.weight, stride=2, padding=1) + pooled  # Eq. 7
        x = aggregation(aggregate, x)  # Eq. 10
    x = stem.final_conv.bn(F.conv2d(x, stem.final_conv.conv.weight))  # Eq. 5
    torch.testing.assert_close(stem(image).feature_map, x)


def test_positions_are_those_of_the_raw_1x1_convolution():
    stem = GradualEmbedding(D).eval()
    seen = {}
    stem.scale_blocks[2].pool_conv.register_forward_hook(
        lambda module, args, output: seen.update(before_pooling=output))
    positions = stem(torch.randn(1, 3, 32, 32)).positions[-1]
    _, indices = F.max_pool2d(seen['before_pooling'], 2, return_indices=True)
    width = seen['before_pooling'].shape[-1]
    assert torch.equal(positions.long(), indices // width % 2 * 2 + indices % width % 2)


@pytest.mark.parametrize('stages, channels', [((), []), ((4, ), [D]), ((2, 3, 4), [16, 32, D])])
def test_position_stages_choose_what_is_returned(stages, channels):
    stem = GradualEmbedding(D, position_stages=stages)
    positions = stem(torch.randn(1, 3, 32, 32)).positions
    assert [p.shape[1] for p in positions] == channels


@pytest.mark.parametrize('arguments, message', [
    (dict(embed_dims=60), 'multiple of 8, got 60'),
    (dict(embed_dims=D, base_channels=0), 'at least 1, got 0'),
    (dict(embed_dims=D, conv=False, max_pool=False), 'conv=True, max_pool=True or both'),
    (dict(embed_dims=D, position_stages=(1, )), r'among 2, 3 and 4.*got \(1,\)'),
])
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        GradualEmbedding(**arguments)


def test_patch_embedding_has_no_positions():
    positions, feature_map = PatchEmbedding(D)(torch.randn(2, 3, 64, 48))
    assert positions == ()
    assert feature_map.shape == (2, D, 4, 3)
