"""ViTPose's stem, kept as the baseline that GradualEmbedding replaces (Eq. 1-2)."""

from __future__ import annotations

from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from .features import PoseFeatures


@MODELS.register_module()
class PatchEmbedding(BaseModule):
    """One 16x16 convolution with stride 16 from image to token map (Eq. 1).

    With this stem, no shortcuts and MMPose's HeatmapHead, :class:`ShortcutViT` is ViTPose; the
    parameter names are mmpretrain's.

    Args:
        embed_dims: Token width D.
        padding: Zero padding of the image; 2 is ViTPose's.
        init_cfg: Initialisation of the weights.

    Shapes: (B, 3, H, W) -> a feature map (B, D, H/16, W/16) without positions.
    """

    def __init__(self, embed_dims: int, padding: int = 2, init_cfg: dict | None = None):
        super().__init__(init_cfg or dict(type='Xavier', layer='Conv2d', distribution='uniform'))
        self.projection = nn.Conv2d(3, embed_dims, kernel_size=16, stride=16, padding=padding)

    def forward(self, image: Tensor) -> PoseFeatures:
        """Embed an image whose height and width are multiples of 16."""
        return PoseFeatures(positions=(), feature_map=self.projection(image))
