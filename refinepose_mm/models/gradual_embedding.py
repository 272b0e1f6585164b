"""GradualEmbedding: the image becomes a token map in four halvings (sec. 3.1, Eq. 3-10)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..ops.person_by_person import person_by_person
from ..ops.pool_positions import max_pool, max_pool_with_positions
from .feature_aggregation import FeatureAggregation
from .features import PoseFeatures


class ScaleBlock(nn.Module):
    """Conv3x3 with stride 2 plus MaxPool(Conv1x1), Eq. 7; either part can be left out (Table 3).

    The pooling sees the raw output of the 1x1 convolution, as the equation writes it. After a
    ReLU many windows would tie at zero, and their positions would mean nothing. No convolution
    has a bias: a convolution and a BatchNorm follow, which absorb one everywhere but at the
    zero-padded border.

    Shapes: (B, in_channels, h, w) -> (B, out_channels, h/2, w/2) and, if asked for, positions
    of the same shape.
    """

    def __init__(self, in_channels: int, out_channels: int, conv: bool, max_pool: bool):
        super().__init__()
        self.conv = self.pool_conv = None
        if conv:
            self.conv = nn.Conv2d(
                in_channels, out_channels, kernel_size=3, stride=2, padding=1, bias=False)
        if max_pool:
            self.pool_conv = nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False)

    def forward(self, x: Tensor, want_positions: bool) -> tuple[Tensor, Tensor | None]:
        if self.pool_conv is None:
            assert self.conv is not None  # a stage has one of them or both
            return self.conv(x), None
        if want_positions:
            pooled, positions = max_pool_with_positions(self.pool_conv(x))
        else:
            pooled, positions = max_pool(self.pool_conv(x)), None
        return pooled if self.conv is None else self.conv(x) + pooled, positions


@MODELS.register_module()
class GradualEmbedding(BaseModule):
    """The RefinePose stem: four downsampling blocks and FinalConv (Eq. 3-10).

    Channels double from block to block (sec. 3.1: the output of a block has
    "H/2 x W/2 x 2C"). The paper does not give the widths; with a first block of C = D/8 the last
    one ends at the token width, and its positions fit the paper's decoder. A narrower first block
    is ours: FinalConv then widens to D.

    Args:
        embed_dims: Token width D.
        conv: Downsample with the 3x3 convolution (Table 3). Default: True.
        max_pool: Downsample with max-pooling (Table 3). Default: True.
        aggregate: Use FeatureAggregation in every block (Table 3). Default: True.
        position_stages: Blocks among 2, 3 and 4 whose pool positions are returned, in rising
            order. FusionHead uses those of 3 and 4. Ignored without max-pooling.
        norm_cfg: Normalisation layer of FeatureAggregation and FinalConv.
        base_channels: C, the width of the first block. Default: D/8, which needs a D of a
            multiple of 8.
        init_cfg: Initialisation of the weights. Default: Kaiming on every convolution.

    Shapes: (B, 3, H, W) -> positions (B, 4C, H/8, W/8), (B, 8C, H/16, W/16) and a feature map
    (B, D, H/16, W/16).

    Raises:
        ValueError: If ``embed_dims`` is not a multiple of 8 and ``base_channels`` is left out, if
            ``base_channels`` is below 1, if neither ``conv`` nor
            ``max_pool`` is on, or if a position stage does not pool.
    """

    def __init__(self,
                 embed_dims: int,
                 conv: bool = True,
                 max_pool: bool = True,
                 aggregate: bool = True,
                 position_stages: Sequence[int] = (3, 4),
                 norm_cfg: dict = dict(type='BN'),
                 base_channels: int | None = None,
                 init_cfg: dict | list | None = None):
        super().__init__(init_cfg or [
            # fan_in, because torch counts the fan_out of a depthwise kernel over all channels.
            dict(type='Kaiming', layer='Conv2d', mode='fan_in'),
            dict(type='Constant', layer='_BatchNorm', val=1),
        ])
        if base_channels is not None and base_channels < 1:
            raise ValueError(f'base_channels must be at least 1, got {base_channels}')
        if base_channels is None and embed_dims % 8:
            raise ValueError(f'embed_dims must be a multiple of 8, got {embed_dims}')
        if not (conv or max_pool):
            raise ValueError('GradualEmbedding needs conv=True, max_pool=True or both to '
                             'downsample, got neither')
        if not set(position_stages) <= {2, 3, 4}:
            raise ValueError('position_stages must be among 2, 3 and 4, the blocks that pool, '
                             f'got {tuple(position_stages)}')
        self.position_stages = tuple(position_stages)

        def aggregation(channels: int) -> nn.Module:
            return FeatureAggregation(channels, channels, norm_cfg) if aggregate else nn.Identity()

        base = base_channels or embed_dims // 8
        widths = [base, 2 * base, 4 * base, 8 * base]
        # Eq. 9, literally: nothing between the two convolutions.
        self.conv7x7 = nn.Conv2d(3, widths[0], kernel_size=7, stride=2, padding=3, bias=False)
        self.conv1x1 = nn.Conv2d(widths[0], widths[0], kernel_size=1, bias=False)
        self.scale_blocks = nn.ModuleList(
            ScaleBlock(narrow, wide, conv, max_pool) for narrow, wide in zip(widths, widths[1:]))
        self.aggregations = nn.ModuleList(aggregation(width) for width in widths)
        self.final_conv = ConvModule(
            widths[-1], embed_dims, kernel_size=1, norm_cfg=norm_cfg, act_cfg=None)

    def _values_per_person(self, image: Tensor) -> int:
        """Size of the first and largest map: C * H/2 * W/2."""
        height, width = image.shape[2:]
        return self.conv7x7.out_channels * height * width // 4

    @person_by_person(_values_per_person)
    def forward(self, image: Tensor) -> PoseFeatures:
        """Embed images (B, 3, H, W) whose height and width are multiples of 16."""
        # Faster on CPUs, forward and backward; all that follows keeps the layout.
        image = image.contiguous(memory_format=torch.channels_last)
        x = self.aggregations[0](self.conv1x1(self.conv7x7(image)))  # Eq. 9: B,C,H/2,W/2
        collected = []
        for stage, (scale, aggregate) in enumerate(
                zip(self.scale_blocks, self.aggregations[1:]), start=2):
            x, positions = scale(x, want_positions=stage in self.position_stages)
            x = aggregate(x)  # Eq. 10: B,2C,h/2,w/2
            if positions is not None:
                collected.append(positions)
        return PoseFeatures(tuple(collected), self.final_conv(x))  # Eq. 5
