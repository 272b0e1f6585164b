"""What travels from the stem through the backbone to the head.

Dimension legend of this package: B batch, C channels, H x W input image, h x w feature map,
D token width, N = h * w tokens, K keypoints.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class PoseFeatures(NamedTuple):
    """A feature map and the pool positions that the stem left on the way to it.

    The map comes last, so that any MMPose head finds it as ``feats[-1]``. Positions travel with
    the features and never stay on a module: a flip test runs the backbone twice before it runs the
    head, and the second pass would overwrite the positions of the first.

    Attributes:
        positions: uint8 tensors, fine to coarse, see
            :func:`~refinepose_mm.ops.pool_positions.max_pool_with_positions`. With the
            default stem (B, D/2, H/8, W/8) and (B, D, H/16, W/16); ``()`` from a stem
            without max-pooling.
        feature_map: (B, D, H/16, W/16).
    """

    positions: tuple[Tensor, ...]
    feature_map: Tensor
