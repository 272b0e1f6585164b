"""MMPose's own training script, which `mim train refinepose_mm CONFIG` runs here."""

import runpy
from importlib.util import find_spec
from pathlib import Path

import refinepose_mm  # noqa: F401, before MMPose: it repairs what would fail

MMPOSE = Path(find_spec('mmpose').origin).parent

if __name__ == '__main__':
    runpy.run_path(str(MMPOSE / '.mim/tools/train.py'), run_name='__main__')
