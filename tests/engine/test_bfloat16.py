"""Training in bfloat16: what runs inside is cast, what is kept is not."""

import torch
from torch import nn

from refinepose_mm.engine import BFloat16OptimWrapper


def test_products_are_bfloat16_and_weights_float32():
    model = nn.Linear(4, 2)
    before = model.weight.detach().clone()
    wrapper = BFloat16OptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=1.))
    with wrapper.optim_context(model):
        outputs = model(torch.ones(3, 4))
        assert outputs.dtype == torch.bfloat16
        wrapper.update_params(outputs.float().sum())
    assert model(torch.ones(3, 4)).dtype == model.weight.dtype == torch.float32
    torch.testing.assert_close(model.weight, before - 3)  # the gradient of the sum of three rows
