"""2x2 max-pooling that tells where each maximum was, and its inverse (sec. 3.1 and 3.2).

A *position* says which pixel of a 2x2 window is its maximum: 0 top left, 1 top right, 2 bottom
left, 3 bottom right. The first pixel wins a tie. Torch's own pooling returns flat int64 indices
instead. Positions take an eighth of the memory, and unpooling by them compares and places instead
of scattering, which standard ONNX operators express. Values, maxima and gradients equal those of
``nn.MaxPool2d`` and ``nn.MaxUnpool2d``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .compiling import is_compiling


def max_pool(x: Tensor) -> Tensor:
    """The maxima alone, for stages whose positions nobody unpools by."""
    if x.requires_grad:  # the gradient needs the positions
        return max_pool_with_positions(x)[0]
    _check_size(x)
    return F.max_pool2d(x, kernel_size=2)


def max_pool_with_positions(x: Tensor) -> tuple[Tensor, Tensor]:
    """Pool 2x2 windows with stride 2.

    Args:
        x: (B, C, h, w) with even h and w.

    Returns:
        The maxima (B, C, h/2, w/2) and their positions, uint8 of the same shape, 0 to 3.

    Raises:
        ValueError: If h or w is odd: the last row or column would have no window.
    """
    _check_size(x)
    return _Pool.apply(x) if x.requires_grad else _pool(x)


def max_unpool_by_positions(x: Tensor, positions: Tensor) -> Tensor:
    """Put each value back to the position its window's maximum had; zeros elsewhere.

    Args:
        x: (B, R * C, h, w), finite. Channel k uses position channel ``k mod C``, so one set of
            positions serves a map that is R times as wide.
        positions: (B, C, h, w), uint8, 0 to 3.

    Returns:
        (B, R * C, 2h, 2w).
    """
    return _Unpool.apply(x, positions) if x.requires_grad else _place(x, positions)


def _check_size(x: Tensor) -> None:
    height, width = x.shape[-2:]
    if height % 2 or width % 2:
        raise ValueError(f'2x2 pooling needs an even height and width, got {height}x{width}')


def _pool(x: Tensor) -> tuple[Tensor, Tensor]:
    top_left, top_right = x[..., 0::2, 0::2], x[..., 0::2, 1::2]
    bottom_left, bottom_right = x[..., 1::2, 0::2], x[..., 1::2, 1::2]
    top, bottom = torch.maximum(top_left, top_right), torch.maximum(bottom_left, bottom_right)
    # Strictly greater, so that the first one wins a tie.
    in_top, in_bottom = (top_right > top_left).byte(), 2 + (bottom_right > bottom_left).byte()
    return F.max_pool2d(x, kernel_size=2), torch.where(bottom > top, in_bottom, in_top)


def _place(x: Tensor, positions: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    per_repeat = positions.shape[1]
    # The encoder's token map is channels-last, and convolutions prefer it. In this layout the step
    # is three times as fast, and its result keeps the layout without a copy.
    window = torch.arange(4, dtype=torch.uint8, device=x.device).view(2, 1, 2, 1, 1)
    positions = positions.permute(0, 2, 3, 1).reshape(batch, height, 1, width, 1, 1, per_repeat)
    x = x.permute(0, 2, 3, 1).reshape(batch, height, 1, width, 1, -1, per_repeat)
    is_place = positions == window  # B,h,2,w,2,1,C
    # Eager: torch.where takes three times as long as a product. Exported: 8 bits round a product.
    unpooled = torch.where(is_place, x, 0) if is_compiling() else x * is_place
    return unpooled.reshape(batch, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


def _pick(x: Tensor, positions: Tensor) -> Tensor:
    """The pixel of each window of x that its position names: the inverse of `_place`."""
    positions = positions.repeat(1, x.shape[1] // positions.shape[1], 1, 1)
    picked = x[..., 0::2, 0::2] * (positions == 0)
    for position in (1, 2, 3):
        pixels = x[..., position // 2::2, position % 2::2]
        picked.addcmul_(pixels, (positions == position).to(x.dtype))
    return picked


class _Pool(torch.autograd.Function):
    """`_pool` that keeps the positions for its gradient; torch would keep the map and int64."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        pooled, positions = _pool(x)
        ctx.save_for_backward(positions)
        ctx.mark_non_differentiable(positions)
        return pooled, positions

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> Tensor:
        return _place(grad, *ctx.saved_tensors)


class _Unpool(torch.autograd.Function):
    """`_place` with its own gradient; autograd's would take four times as many products."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, positions: Tensor) -> Tensor:
        ctx.save_for_backward(positions)
        return _place(x, positions)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _pick(grad, *ctx.saved_tensors), None
