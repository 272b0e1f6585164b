"""Linear layers through oneDNN: for training and eager inference, and packed for deployment."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .compiling import is_compiling
from .processor import is_amd

# Measured (docs/speed.md): on AMD's processors oneDNN is twice as fast as MKL (Zen 5), a tenth
# faster (an older EPYC) or equal (Zen 4). Nothing was measured on others, so torch chooses there.
ONEDNN_IS_FASTER = (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
                    and is_amd())


class Linear(nn.Linear):
    """``nn.Linear`` that multiplies in oneDNN where torch would call the slower MKL.

    In single precision on x86 torch hands linear layers to MKL and convolutions to oneDNN. On
    AMD's processors the tokens become the pixels of a 1x1 convolution, by views alone: the same
    product, forward and backward.

    Shapes: (..., in_features) -> (..., out_features).
    """

    def forward(self, x: Tensor) -> Tensor:
        # A traced graph keeps the linear layer; its compiler or engine chooses the kernel.
        if is_compiling() or not (
                ONEDNN_IS_FASTER and x.device.type == 'cpu' and x.dtype == torch.float32
                and x.numel()):
            return super().forward(x)
        pixels = x.reshape(1, -1, 1, self.in_features).permute(0, 3, 1, 2)
        y = F.conv2d(pixels, self.weight[:, :, None, None], self.bias)
        return y.permute(0, 2, 3, 1).reshape(*x.shape[:-1], self.out_features)


class PackedLinear(nn.Module):
    """A linear layer in oneDNN's own weight layout, optionally with GELU fused behind it.

    oneDNN reorders the weight once, here, instead of in every call. For inference in single
    precision on a CPU. The module holds no parameters: it cannot be trained, saved or moved.

    Args:
        linear: The layer whose weights it takes.
        gelu: Apply GELU to the product: 'none' is the exact one, 'tanh' its approximation.

    Shapes: (..., in_features) -> (..., out_features).
    """

    def __init__(self, linear: nn.Linear, gelu: str | None = None):
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self.bias = linear.bias.detach()
        # The operation's name, its scalars and its algorithm.
        self.activation: tuple[str, list[float], str] = (
            ('gelu', [], gelu) if gelu else ('none', [], ''))

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, *self.activation)


def can_pack(model: nn.Module) -> bool:
    """Whether this torch has the operators, and the weights are on the CPU in single precision."""
    weight = next(model.parameters())
    # torch.compile calls these operators on CPUs; they are not documented and may be missing.
    return (torch.backends.mkldnn.is_available()
            and hasattr(torch.ops.mkldnn, '_linear_pointwise')
            and hasattr(torch.ops.mkldnn, '_reorder_linear_weight')
            and weight.device.type == 'cpu' and weight.dtype == torch.float32)
