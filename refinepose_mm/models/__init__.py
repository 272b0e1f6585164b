"""The paper as modules: stem, encoder and head, each in a file of its own."""

from .features import PoseFeatures
from .float32_heatmap_head import Float32HeatmapHead
from .fusion_head import FusionHead
from .gradual_embedding import GradualEmbedding
from .patch_embedding import PatchEmbedding
from .shortcut_vit import ShortcutViT

__all__ = [
    'Float32HeatmapHead', 'FusionHead', 'GradualEmbedding', 'PatchEmbedding', 'PoseFeatures',
    'ShortcutViT'
]
