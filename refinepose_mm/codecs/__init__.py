"""Keypoint codecs."""

from .batched_udp_heatmap import BatchedUDPHeatmap, decode_udp, gaussian_kernel

__all__ = ['BatchedUDPHeatmap', 'decode_udp', 'gaussian_kernel']
