"""Our linear layer is torch's function, computed elsewhere."""

import pytest
import torch
from torch import nn
from torch.profiler import profile

from refinepose_mm.ops import linear
from refinepose_mm.ops.linear import Linear


@pytest.mark.parametrize('shape', [(8, ), (5, 8), (2, 5, 8), (0, 8)])
@pytest.mark.parametrize('bias', [True, False])
def test_linear_and_its_gradients_are_torchs(shape, bias):
    torch.manual_seed(0)
    ours = Linear(8, 12, bias=bias)
    theirs = nn.Linear(8, 12, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(shape)
    results = []
    for layer in (ours, theirs):
        given = x.clone().requires_grad_()
        y = layer(given)
        (y * torch.arange(12.)).sum().backward()
        results.append((y.detach(), given.grad, *(p.grad for p in layer.parameters())))
    for found, expected in zip(*results):
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected)


def operations(function):
    with profile() as recorded:
        function()
    return [event.name for event in recorded.events()]


def test_float32_linear_layers_multiply_in_onednn(monkeypatch):
    layer, x = Linear(8, 12), torch.randn(2, 5, 8)
    monkeypatch.setattr(linear, 'ONEDNN_IS_FASTER', True)
    assert 'aten::conv2d' in operations(lambda: layer(x))
    assert 'aten::linear' in operations(lambda: layer.double()(x.double()))
    monkeypatch.setattr(linear, 'ONEDNN_IS_FASTER', False)
    assert 'aten::linear' in operations(lambda: layer.float()(x))
