"""Fixtures: where the project and the real photos are, and small runs through `mim`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import refinepose_mm  # noqa: F401, before any test imports mmpose: it repairs what would fail

# isort: split
from mmengine.registry import init_default_scope

ROOT = Path(__file__).parents[1]
PHOTOS = Path(os.environ.get('REFINEPOSE_SHARED_DATA', ROOT.parent / 'shared/data'))


@pytest.fixture(autouse=True)
def mmpose_scope() -> None:
    """MMPose's registries, whatever scope an earlier test of this process has entered."""
    init_default_scope('mmpose')


@pytest.fixture(scope='session')
def root() -> Path:
    """The root of the project."""
    return ROOT


@pytest.fixture(scope='session')
def photos() -> Path:
    """The folder of real photos, which is not part of the project."""
    if not PHOTOS.is_dir():
        pytest.skip(f'no real photos at {PHOTOS}; set REFINEPOSE_SHARED_DATA to their folder')
    return PHOTOS


@pytest.fixture(scope='session')
def coco_mini(photos) -> Path:
    """28 + 30 COCO images with keypoints."""
    return photos / 'coco_mini'


def mim(*words: str, **environment: str) -> subprocess.CompletedProcess:
    """Run `mim` from the root of the project, as a user would."""
    command = [str(Path(sys.executable).parent / 'mim'), *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment},
                          capture_output=True, text=True)
