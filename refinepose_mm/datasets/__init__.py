"""Data: image loading that names broken files, joints of several data sets, and toy people."""

from .joints import JointConverter
from .transforms import DecodeCrop, LoadCompleteImage, OpenImage, ZeroBasedJoints

__all__ = ['DecodeCrop', 'JointConverter', 'LoadCompleteImage', 'OpenImage', 'ZeroBasedJoints']
