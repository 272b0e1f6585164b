"""FeatureAggregation, the block that stem and head share (Eq. 8)."""

from __future__ import annotations

from mmcv.cnn import DepthwiseSeparableConvModule
from torch import Tensor

from ..ops.recompute import Recomputes, recompute


class FeatureAggregation(DepthwiseSeparableConvModule, Recomputes):
    """ReLU(BatchNorm(DSC(x))), Eq. 8: a 3x3 depthwise and a 1x1 pointwise convolution.

    Nothing stands between the two convolutions, as the equation writes it. They carry no bias,
    because the BatchNorm behind them would remove it. The backward pass can recompute the depthwise
    convolution, which is cheap, instead of keeping its output.

    Args:
        in_channels: Channels of the input map.
        out_channels: Channels of the output map.
        norm_cfg: The normalisation; ``dict(type='SyncBN')`` for small batches per device.

    Shapes: (B, in_channels, h, w) -> (B, out_channels, h, w).
    """

    def __init__(self, in_channels: int, out_channels: int, norm_cfg: dict):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size=3,
            padding=1,
            dw_norm_cfg=None,
            dw_act_cfg=None,
            pw_norm_cfg=norm_cfg,
            pw_act_cfg=dict(type='ReLU'),
            bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.normalise(recompute(self.convolve, x, wanted=self.recomputes))

    def convolve(self, x: Tensor) -> Tensor:
        """DSC(x)."""
        return self.pointwise_conv(self.depthwise_conv(x), activate=False, norm=False)

    def normalise(self, x: Tensor) -> Tensor:
        """ReLU(BatchNorm(x))."""
        return self.pointwise_conv.activate(self.pointwise_conv.norm(x))
