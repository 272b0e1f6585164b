"""Attention and transformer block, with mmpretrain's parameter names; nothing paper-specific."""

from __future__ import annotations

import torch.nn.functional as F
from mmcv.cnn.bricks.drop import DropPath
from torch import Tensor, nn

from ..ops.linear import Linear
from ..ops.recompute import recompute


class MultiheadAttention(nn.Module):
    """Self-attention through ``scaled_dot_product_attention``.

    Args:
        embed_dims: Token width D.
        num_heads: Number of heads; divides D.

    Shapes: (B, N, D) -> (B, N, D).
    """

    def __init__(self, embed_dims: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(embed_dims, 3 * embed_dims)
        self.proj = Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.num_heads, width // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each B,heads,N,D/heads
        x = F.scaled_dot_product_attention(query, key, value)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, width))


class FeedForward(nn.Module):
    """Linear, GELU, linear. mmcv's FFN does not allow our own linear layers.

    The backward pass recomputes GELU instead of keeping its output, the widest map of the encoder.

    Args:
        embed_dims: Token width D.
        feedforward_channels: Hidden width.

    Shapes: (B, N, D) -> (B, N, D).
    """

    def __init__(self, embed_dims: int, feedforward_channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Sequential(Linear(embed_dims, feedforward_channels), nn.GELU()),
            Linear(feedforward_channels, embed_dims))

    def forward(self, x: Tensor) -> Tensor:
        expand, second = self.layers
        first, gelu = expand.children()
        return recompute(lambda x: second(gelu(x)), first(x))


class TransformerBlock(nn.Module):
    """Pre-norm transformer block: attention, then feed-forward, each with its residual.

    Args:
        embed_dims: Token width D.
        num_heads: Number of attention heads.
        feedforward_channels: Hidden width of the feed-forward network.
        drop_path_rate: Probability of dropping a residual branch per sample, 0 to 1.

    Shapes: (B, N, D) -> (B, N, D).
    """

    def __init__(self, embed_dims: int, num_heads: int, feedforward_channels: int,
                 drop_path_rate: float):
        super().__init__()
        self.ln1 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = MultiheadAttention(embed_dims, num_heads)
        self.drop_path = DropPath(drop_path_rate)
        self.ln2 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.ffn = FeedForward(embed_dims, feedforward_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.ln1(x)))
        return x + self.drop_path(self.ffn(self.ln2(x)))
