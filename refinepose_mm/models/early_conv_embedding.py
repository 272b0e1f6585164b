"""Early convolutions, the control that a stem of convolutions needs (Xiao et al. 2021)."""

from __future__ import annotations

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from .features import PoseFeatures


@MODELS.register_module()
class EarlyConvEmbedding(BaseModule):
    """Four 3x3 convolutions with stride 2, BatchNorm and ReLU, and a 1x1 convolution.

    This is the stem of "Early convolutions help transformers see better" (Xiao et al., NeurIPS
    2021), with the widths of :class:`GradualEmbedding`. It has none of RefinePose's own parts: no
    pooling, no FeatureAggregation. What :class:`GradualEmbedding` gains over it, RefinePose gains;
    the rest of its lead over ViTPose is that of any convolutional stem.

    Args:
        embed_dims: Token width D, a multiple of 8.
        norm_cfg: Normalisation layer.
        init_cfg: Initialisation of the weights. Default: Kaiming on every convolution.

    Shapes: (B, 3, H, W) -> a feature map (B, D, H/16, W/16) without positions.

    Raises:
        ValueError: If ``embed_dims`` is not a multiple of 8.
    """

    def __init__(self, embed_dims: int, norm_cfg: dict = dict(type='BN'),
                 init_cfg: dict | list | None = None):
        super().__init__(init_cfg or [
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Constant', layer='_BatchNorm', val=1),
        ])
        if embed_dims % 8:
            raise ValueError(f'embed_dims must be a multiple of 8, got {embed_dims}')
        widths = [3, embed_dims // 8, embed_dims // 4, embed_dims // 2, embed_dims]
        self.blocks = nn.Sequential(*(
            ConvModule(narrow, wide, kernel_size=3, stride=2, padding=1, norm_cfg=norm_cfg)
            for narrow, wide in zip(widths, widths[1:])))
        self.final_conv = nn.Conv2d(embed_dims, embed_dims, kernel_size=1)

    def forward(self, image: Tensor) -> PoseFeatures:
        """Embed images (B, 3, H, W) whose height and width are multiples of 16."""
        return PoseFeatures(positions=(), feature_map=self.final_conv(self.blocks(image)))
