import pytest
import torch
import torch.nn.functional as F

from refinepose_mm.models import EarlyConvEmbedding

D = 64


def test_forward_is_four_convolutions_and_one():
    torch.manual_seed(0)
    stem = EarlyConvEmbedding(D)
    stem.init_weights()
    stem.eval()
    image = torch.randn(2, 3, 64, 48)
    x = image
    for block in stem.blocks:
        x = torch.relu(block.bn(F.conv2d(x, block.conv.weight, stride=2, padding=1)))
    positions, feature_map = stem(image)
    assert positions == () and feature_map.shape == (2, D, 4, 3)
    torch.testing.assert_close(feature_map, F.conv2d(x, stem.final_conv.weight,
                                                     stem.final_conv.bias))
    assert [block.conv.out_channels for block in stem.blocks] == [8, 16, 32, 64]


def test_width_must_fit():
    with pytest.raises(ValueError, match='multiple of 8, got 60'):
        EarlyConvEmbedding(60)
