"""The paper as modules, each in a file of its own, and the baseline that it compares with.

=====================  ======================  =================================================
step                   shape (base, 256x192)   where
=====================  ======================  =================================================
image                  B, 3, 256, 192
stem, block 1          B, D/8, 128, 96         ``gradual_embedding`` (Eq. 9)
stem, block 2          B, D/4, 64, 48          ``gradual_embedding`` (Eq. 7, 10)
stem, block 3          B, D/2, 32, 24          the same; its pooling leaves *positions*
stem, block 4          B, D, 16, 12            the same; its pooling leaves *positions*
token map              B, D, 16, 12            ``gradual_embedding`` (FinalConv, Eq. 5)
tokens                 B, 192, D               ``shortcut_vit`` (Eq. 6)
3 groups of 4 blocks   B, 192, D               ``shortcut_vit``: ``x + group(x)`` (sec. 3.3)
feature map            B, D, 16, 12            ``features`` (travels with the positions)
head, step 1           B, D, 32, 24            ``fusion_head`` (Eq. 11, positions of block 4)
head, step 2           B, D, 64, 48            ``fusion_head`` (Eq. 11, positions of block 3)
heatmaps               B, K, 64, 48            ``fusion_head`` (Eq. 13)
=====================  ======================  =================================================

B batch, D token width (768), K keypoints. FeatureAggregation (Eq. 8) ends each block of the stem
and each step of the head. ViTPose is the same encoder with ``patch_embedding`` as its stem, no
shortcuts and MMPose's HeatmapHead; :mod:`refinepose_mm.recipes` says so in code.
``early_conv_embedding`` is a third stem, the control of the study.
"""

from .early_conv_embedding import EarlyConvEmbedding
from .features import PoseFeatures
from .float32_heatmap_head import Float32HeatmapHead
from .fusion_head import FusionHead
from .gradual_embedding import GradualEmbedding
from .multi_head import MultiHeadPoseEstimator
from .patch_embedding import PatchEmbedding
from .shortcut_vit import ShortcutViT

__all__ = [
    'EarlyConvEmbedding', 'Float32HeatmapHead', 'FusionHead', 'GradualEmbedding',
    'MultiHeadPoseEstimator', 'PatchEmbedding', 'PoseFeatures', 'ShortcutViT'
]
