"""Attention and transformer block, with mmpretrain's parameter names; nothing paper-specific."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.drop import DropPath
from torch import Tensor, nn

from ..ops.linear import Linear
from ..ops.recompute import Recomputes, recompute


class QuickGELU(nn.Module):
    """``x * sigmoid(1.702 x)``, OpenAI's approximation of GELU in CLIP."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    'gelu': nn.GELU,
    'gelu_tanh': lambda: nn.GELU(approximate='tanh'),  # SigLIP
    'quick_gelu': QuickGELU,  # CLIP
}


def rotations(grid: tuple[int, int], head_dims: int, base: float, like: Tensor) -> Tensor:
    """Angles by which rotary attention turns queries and keys (DINOv3).

    Half of a head's channel pairs turn with the row, the other half with the column of a token,
    each pair at its own frequency. Coordinates are those of the tokens' centres, from -1 to 1
    whatever the grid.

    Args:
        grid: Height and width of the token map.
        head_dims: Channels of a head, a multiple of 4.
        base: Ratio of the longest period to the shortest, 2.
        like: Tensor whose device and type the result has.

    Returns:
        Cosines and sines, (2, N, head_dims), for pairs of the channels k and k + head_dims / 2.
    """
    # At least single precision, whatever the type of the model.
    dtype = torch.promote_types(like.dtype, torch.float32)
    rows, columns = (2 * (torch.arange(size, device=like.device, dtype=dtype) + .5) / size - 1
                     for size in grid)
    centres = torch.stack(torch.meshgrid(rows, columns, indexing='ij'), dim=-1)  # h,w,2
    steps = torch.arange(head_dims // 4, device=like.device, dtype=dtype)
    angles = 2 * math.pi * centres.reshape(-1, 2, 1) * base**(-4 * steps / head_dims)
    angles = angles.flatten(1).repeat(1, 2)  # N,head_dims
    return torch.stack([angles.cos(), angles.sin()]).to(like.dtype)


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turn pairs of channels by :func:`rotations`. Shapes: (B, heads, N, D/heads) -> the same."""
    first, second = x.chunk(2, dim=-1)
    return x * turns[0] + torch.cat([-second, first], dim=-1) * turns[1]


class MultiheadAttention(nn.Module):
    """Self-attention through ``scaled_dot_product_attention``.

    Args:
        embed_dims: Token width D.
        num_heads: Number of heads; divides D.

    Shapes: (B, N, D) and, for rotary attention, (2, N, D/heads) -> (B, N, D).
    """

    def __init__(self, embed_dims: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(embed_dims, 3 * embed_dims)
        self.proj = Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor, turns: Tensor | None = None) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.num_heads, width // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each B,heads,N,D/heads
        if turns is not None:
            query, key = rotate(query, turns), rotate(key, turns)
        x = F.scaled_dot_product_attention(query, key, value)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, width))


class FeedForward(nn.Module, Recomputes):
    """Linear, activation, linear. mmcv's FFN does not allow our own linear layers.

    The backward pass can recompute the activation instead of keeping its output, the widest map
    of the encoder.

    Args:
        embed_dims: Token width D.
        feedforward_channels: Hidden width.
        activation: One of :data:`ACTIVATIONS`.

    Shapes: (B, N, D) -> (B, N, D).
    """

    def __init__(self, embed_dims: int, feedforward_channels: int, activation: str = 'gelu'):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Sequential(Linear(embed_dims, feedforward_channels), ACTIVATIONS[activation]()),
            Linear(feedforward_channels, embed_dims))

    def forward(self, x: Tensor) -> Tensor:
        expand, second = self.layers
        first, activate = expand.children()
        return recompute(lambda x: second(activate(x)), first(x), wanted=self.recomputes)


class TransformerBlock(nn.Module):
    """Pre-norm transformer block: attention, then feed-forward, each with its residual.

    Args:
        embed_dims: Token width D.
        num_heads: Number of attention heads.
        feedforward_channels: Hidden width of the feed-forward network.
        drop_path_rate: Probability of dropping a residual branch per sample, 0 to 1.
        eps: Of the LayerNorms.
        activation: One of :data:`ACTIVATIONS`.
        layer_scale: Scale each channel of a branch by a learned number that starts at 1.

    Shapes: (B, N, D) and, for rotary attention, (2, N, D/heads) -> (B, N, D).
    """

    def __init__(self, embed_dims: int, num_heads: int, feedforward_channels: int,
                 drop_path_rate: float, eps: float = 1e-6, activation: str = 'gelu',
                 layer_scale: bool = False):
        super().__init__()
        self.ln1 = nn.LayerNorm(embed_dims, eps=eps)
        self.attn = MultiheadAttention(embed_dims, num_heads)
        self.drop_path = DropPath(drop_path_rate)
        self.ln2 = nn.LayerNorm(embed_dims, eps=eps)
        self.ffn = FeedForward(embed_dims, feedforward_channels, activation)
        self.ls1 = self.ls2 = None
        if layer_scale:
            self.ls1, self.ls2 = (nn.Parameter(torch.ones(embed_dims)) for _ in range(2))

    def forward(self, x: Tensor, turns: Tensor | None = None) -> Tensor:
        x = x + self.drop_path(_scaled(self.attn(self.ln1(x), turns), self.ls1))
        return x + self.drop_path(_scaled(self.ffn(self.ln2(x)), self.ls2))

    @torch.no_grad()
    def fold_layer_scale(self) -> None:
        """Multiply the scales into the layers before them: the same function, for inference."""
        _, second = self.ffn.layers
        for layer, scale in ((self.attn.proj, self.ls1), (second, self.ls2)):
            if scale is not None:
                assert isinstance(layer, nn.Linear)
                layer.weight.mul_(scale[:, None])
                layer.bias.mul_(scale)
        self.ls1 = self.ls2 = None


def _scaled(x: Tensor, scale: Tensor | None) -> Tensor:
    return x if scale is None else x * scale
