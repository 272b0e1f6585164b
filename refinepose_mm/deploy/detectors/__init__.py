"""Persons in images, by a detector of anybody's: an exported file or a config of mmdet."""

from .detector import Detector
from .families import FAMILIES

__all__ = ['FAMILIES', 'Detector']
