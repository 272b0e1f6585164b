"""Data: image loading that names broken files, MPII's zero-based joints, and toy people."""

from .transforms import LoadCompleteImage, ZeroBasedJoints

__all__ = ['LoadCompleteImage', 'ZeroBasedJoints']
