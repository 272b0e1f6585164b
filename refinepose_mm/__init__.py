"""RefinePose for MMPose: importing this package registers its modules with MMPose.

The repairs of :mod:`refinepose_mm.compat` come first: without them MMPose may not import.
"""

import os
import sys

from . import compat
from .version import __version__

__all__ = ['__version__']

try:
    compat.repair()
    from . import codecs, datasets, engine, models, weights  # noqa: F401
except Exception as error:
    # The command line must start on a broken installation too: `refinepose doctor` is what
    # explains it. Its other commands fail at their own imports.
    if os.path.basename(sys.argv[0]) != 'refinepose':
        raise ImportError(f'{error}; `refinepose doctor` says what is missing') from error
