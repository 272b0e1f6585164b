"""MMPose's heatmap head for ViTPose under bf16."""

from __future__ import annotations

from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class Float32HeatmapHead(HeatmapHead):
    """HeatmapHead whose heatmaps are float32 under autocast, as FusionHead's are.

    MMPose turns heatmaps to numpy, which has no bf16, in the loss and in decoding; with the plain
    head ViTPose cannot be trained or tested in bf16. Arguments are HeatmapHead's.
    """

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Heatmaps (B, K, H/4, W/4) in float32."""
        return super().forward(feats).float()
