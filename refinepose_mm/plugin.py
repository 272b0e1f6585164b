"""When the package acts: repairs come before MMPose's import, registration after it.

Importing ``refinepose_mm`` alone costs next to nothing, so the command line starts at once, and on
a broken installation too. MMEngine's registries import the modules of their *locations* when
somebody first asks for a name; ours are added to the locations of MMPose's registries.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Callable

# Packages that fail without the repairs, or read checkpoints.
REPAIRED = ('mmcv', 'mmdet', 'mmengine', 'mmpose', 'mmpretrain', 'torchvision')
REGISTRIES = 'mmpose.registry'
INFERENCE = 'mmpose.apis.inference'
LOCATIONS = {  # a registry of MMPose: our modules that register there
    'MODELS': ('refinepose_mm.models', 'refinepose_mm.deploy.evaluate'),
    'KEYPOINT_CODECS': ('refinepose_mm.codecs', ),
    'TRANSFORMS': ('refinepose_mm.datasets', ),
    'WEIGHT_INITIALIZERS': ('refinepose_mm.weights', ),
}


def install() -> None:
    """Arrange for repairs and registration, or do them now if MMPose is already imported."""
    if any(name in sys.modules for name in REPAIRED):
        _repair()
    else:
        sys.meta_path.insert(0, _RepairFirst())
    for name, action in ((REGISTRIES, _register), (INFERENCE, _upright)):
        if name in sys.modules:
            action(sys.modules[name])
        else:
            sys.meta_path.insert(0, _AfterImport(name, action))


class _RepairFirst(importlib.abc.MetaPathFinder):
    """Runs the repairs before the first import of a package that needs them; finds nothing."""

    def find_spec(self, name: str, path: Sequence[str] | None,
                  target: ModuleType | None = None) -> None:
        if name.partition('.')[0] in REPAIRED:
            sys.meta_path.remove(self)
            _repair()


class _AfterImport(importlib.abc.MetaPathFinder):
    """Lets a module import as usual, and then acts on it."""

    def __init__(self, name: str, action: Callable[[ModuleType], None]):
        self.name, self.action = name, action

    def find_spec(self, name: str, path: Sequence[str] | None,
                  target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_act(module: ModuleType) -> None:
            execute(module)
            self.action(module)

        spec.loader.exec_module = execute_and_act  # type: ignore[method-assign]
        return spec


def _repair() -> None:
    try:
        import_module('refinepose_mm.compat').repair()
    except Exception as error:  # whatever a broken package raises
        raise ImportError(f'{error}; `refinepose doctor` says what is missing') from error


def _upright(inference: ModuleType) -> None:
    import_module('refinepose_mm.compat').repair_whole_images(inference)


def _register(registries: ModuleType) -> None:
    import_module('refinepose_mm.engine')  # registers with MMEngine, and needs nothing of MMPose
    for name, locations in LOCATIONS.items():
        registry = getattr(registries, name)
        registry._locations.extend(locations)
        if registry._imported:
            for location in locations:
                import_module(location)
