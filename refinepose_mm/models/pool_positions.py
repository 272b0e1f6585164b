"""2x2 max-pooling that tells where each maximum was, and its inverse (sec. 3.1 and 3.2).

A *position* is the place of the winner in its 2x2 window, row by row: 0 top left, 1 top right,
2 bottom left, 3 bottom right; the first one wins a tie. Torch's own pooling
returns flat int64 indices instead. Positions take an eighth of the memory, and unpooling by them
is compare-and-place without a scatter, which ONNX can say with standard operators; values, winners
and gradients are those of ``nn.MaxPool2d`` and ``nn.MaxUnpool2d``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def max_pool_with_positions(x: Tensor) -> tuple[Tensor, Tensor]:
    """Pool 2x2 windows with stride 2.

    Args:
        x: (B, C, h, w) with even h and w.

    Returns:
        The maxima (B, C, h/2, w/2) and their positions, uint8 of the same shape, 0 to 3.

    Raises:
        ValueError: If h or w is odd: the last row or column would have no window.
    """
    height, width = x.shape[-2:]
    if height % 2 or width % 2:
        raise ValueError(f'2x2 pooling needs an even height and width, got {height}x{width}')
    pooled = F.max_pool2d(x, kernel_size=2)  # whose gradient goes to the first of a tie
    with torch.no_grad():
        top_left, top_right = x[..., 0::2, 0::2], x[..., 0::2, 1::2]
        bottom_left, bottom_right = x[..., 1::2, 0::2], x[..., 1::2, 1::2]
        # Strictly greater, so that the first one wins a tie.
        in_top, in_bottom = (top_right > top_left).byte(), 2 + (bottom_right > bottom_left).byte()
        is_lower = torch.maximum(bottom_left, bottom_right) > torch.maximum(top_left, top_right)
        position = torch.where(is_lower, in_bottom, in_top)
    return pooled, position


def max_unpool_by_positions(x: Tensor, positions: Tensor) -> Tensor:
    """Put each value back to the position its window's maximum had; zeros elsewhere.

    Args:
        x: (B, R * C, h, w). Channel k uses position channel ``k mod C``, so one set of
            positions serves a map that is R times as wide.
        positions: (B, C, h, w), uint8, 0 to 3.

    Returns:
        (B, R * C, 2h, 2w).
    """
    return _Unpool.apply(x, positions) if x.requires_grad else _place(x, positions)


def _place(x: Tensor, positions: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    per_repeat = positions.shape[1]
    # Channels last, as the token map comes from the encoder and as convolutions like it: three
    # times as fast there, and the result stays in that layout (no scatter, no copy).
    window = torch.arange(4, dtype=torch.uint8, device=x.device).view(2, 1, 2, 1, 1)
    positions = positions.permute(0, 2, 3, 1).reshape(batch, height, 1, width, 1, 1, per_repeat)
    x = x.permute(0, 2, 3, 1).reshape(batch, height, 1, width, 1, -1, per_repeat)
    unpooled = torch.where(positions == window, x, 0)  # B,h,2,w,2,R,C
    return unpooled.reshape(batch, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


class _Unpool(torch.autograd.Function):
    """`_place` with a gradient that picks one of four, which takes half the time of the sum over
    a window, three of whose terms are zero, that autograd would make of it."""

    @staticmethod
    def forward(ctx, x: Tensor, positions: Tensor) -> Tensor:
        ctx.save_for_backward(positions)
        return _place(x, positions)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        positions, = ctx.saved_tensors
        positions = positions.repeat(1, grad.shape[1] // positions.shape[1], 1, 1)
        top = torch.where(positions == 0, grad[..., 0::2, 0::2], grad[..., 0::2, 1::2])
        bottom = torch.where(positions == 2, grad[..., 1::2, 0::2], grad[..., 1::2, 1::2])
        return torch.where(positions < 2, top, bottom), None
