"""Executed at the start of every Python that `refinepose run` starts, and of those that it starts.

Importing ``refinepose_mm`` is cheap: its finders wait until MMPose or its neighbours are imported.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

try:
    import refinepose_mm  # noqa: F401
except ModuleNotFoundError:  # a Python of another environment
    pass

# This file hides a sitecustomize of the user's, which comes next.
_here = os.path.dirname(os.path.abspath(__file__))
_spec = PathFinder.find_spec(
    'sitecustomize', [path for path in sys.path if os.path.abspath(path) != _here])
if _spec is not None and _spec.loader is not None:
    sys.modules['sitecustomize'] = _module = module_from_spec(_spec)
    _spec.loader.exec_module(_module)
