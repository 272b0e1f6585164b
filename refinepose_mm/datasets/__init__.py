"""Data: image loading that names broken files, joints of several data sets, and toy people."""

from .joints import JointConverter
from .transforms import LoadCompleteImage, ZeroBasedJoints

__all__ = ['JointConverter', 'LoadCompleteImage', 'ZeroBasedJoints']
