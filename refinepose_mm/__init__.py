"""RefinePose for MMPose.

Importing this package makes its modules known to MMPose. It is cheap: the repairs of
:mod:`refinepose_mm.compat` and the modules themselves wait until MMPose is imported.
"""

from . import plugin
from .version import __version__

__all__ = ['__version__']

plugin.install()
