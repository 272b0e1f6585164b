"""Linear layers of the encoder in oneDNN's own layout: the same products, faster on CPUs.

oneDNN reorders a weight once, here, instead of in every call, and applies GELU while it writes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..models.vit_layers import TransformerBlock


class PackedLinear(nn.Module):
    """A linear layer, with GELU behind it if asked for, for single precision on the CPU.

    Holds no parameters: it cannot be trained, saved or moved.

    Shapes: (..., in_features) -> (..., out_features).
    """

    def __init__(self, linear: nn.Linear, gelu: bool = False):
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self.bias = linear.bias.detach()
        # The name of the operation, its numbers, and which approximation of it (none).
        self.activation = ('gelu', [], 'none') if gelu else ('none', [], '')

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, *self.activation)


def can_pack(model: nn.Module) -> bool:
    """Whether this build of torch has the operators, and the weights are fit for them."""
    weight = next(model.parameters())
    # What torch's compiler calls on CPUs; as it is not documented, it may be missing.
    return (torch.backends.mkldnn.is_available()
            and hasattr(torch.ops.mkldnn, '_linear_pointwise')
            and hasattr(torch.ops.mkldnn, '_reorder_linear_weight')
            and weight.device.type == 'cpu' and weight.dtype == torch.float32)


def pack_linear_layers(model: nn.Module) -> None:
    """Replace the linear layers of all transformer blocks, in place."""
    for block in model.modules():
        if isinstance(block, TransformerBlock):
            block.attn.qkv = PackedLinear(block.attn.qkv)
            block.attn.proj = PackedLinear(block.attn.proj)
            (first, _), second = block.ffn.layers
            block.ffn.layers[0] = nn.Sequential(PackedLinear(first, gelu=True), nn.Identity())
            block.ffn.layers[1] = PackedLinear(second)
