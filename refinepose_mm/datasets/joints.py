"""Joints of one data set as those of another."""

from __future__ import annotations

from mmpose.datasets.transforms import KeypointConverter
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class JointConverter(KeypointConverter):
    """KeypointConverter whose mapping may hold pairs, for the parts of a CombinedDataset.

    A pair of source joints gives the point between them. MMPose's KeypointConverter then also
    rewrites the source's ``flip_indices`` and raises an IndexError if the mapping is longer than
    the source has joints. CombinedDataset replaces ``flip_indices`` by the target's afterwards, so
    this transform removes them first.

    Arguments are KeypointConverter's: ``num_keypoints`` of the target, and ``mapping``, pairs
    (source joint, target joint), where a source joint is an index or two indices.
    """

    def transform(self, results: dict) -> dict:
        """Map ``keypoints`` (N, K, 2), in pixels, and ``keypoints_visible`` (N, K)."""
        results.pop('flip_indices', None)
        return super().transform(results)
