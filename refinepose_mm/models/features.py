"""What travels from the stem through the backbone to the head.

Dimension legend of this package: B batch, C channels, H x W input image, h x w feature map,
D token width, N = h * w tokens, K keypoints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class PoseFeatures(NamedTuple):
    """A feature map and the pool positions that the stem left on the way to it.

    The map comes last, so that any MMPose head finds it as ``feats[-1]``. Positions travel with
    the features and are never kept on a module: a flip test runs the backbone twice before the
    head runs, and the second pass would overwrite what the first one kept.

    Attributes:
        positions: uint8 tensors, fine to coarse, see
            :func:`~refinepose_mm.models.pool_positions.max_pool_with_positions`. With the
            default stem (B, D/2, H/8, W/8) and (B, D, H/16, W/16); ``()`` from a stem
            without max-pooling.
        feature_map: (B, D, H/16, W/16).
    """

    positions: tuple[Tensor, ...]
    feature_map: Tensor

    def split(self) -> Iterator[PoseFeatures]:
        """The features of each person, as batches of one."""
        for person in range(self.feature_map.shape[0]):
            yield PoseFeatures(tuple(p[person:person + 1] for p in self.positions),
                               self.feature_map[person:person + 1])

    @classmethod
    def join(cls, features: Sequence[PoseFeatures]) -> PoseFeatures:
        """The batch of these."""
        return cls(tuple(map(torch.cat, zip(*(f.positions for f in features)))),
                   torch.cat([f.feature_map for f in features]))
