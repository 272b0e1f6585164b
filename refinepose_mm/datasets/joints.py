"""Joints of one data set as those of another."""

from __future__ import annotations

from mmpose.datasets.transforms import KeypointConverter
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class JointConverter(KeypointConverter):
    """KeypointConverter whose mapping may hold pairs, for the parts of a CombinedDataset.

    A pair of source joints gives the point between them. MMPose's KeypointConverter then also
    rewrites ``flip_indices`` of the source, writes beyond its end if the mapping is longer than
    the source has joints, and raises an IndexError. What it writes is lost anyhow: CombinedDataset
    puts the target's ``flip_indices`` in its place. So they are removed before.

    Args:
        num_keypoints: Joints of the target.
        mapping: Pairs (source joint, target joint); a source joint is an index or two indices.
    """

    def transform(self, results: dict) -> dict:
        """Map ``keypoints`` (N, K, 2), in pixels, and ``keypoints_visible`` (N, K)."""
        results.pop('flip_indices', None)
        return super().transform(results)
