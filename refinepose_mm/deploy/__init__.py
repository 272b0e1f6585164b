"""From a trained model to a fast one: folded layers, exported graphs, many persons at once."""

from __future__ import annotations

import warnings
from typing import Any


def __getattr__(name: str) -> Any:
    if name == 'deploy':  # as 0.1.0 had it
        warnings.warn('refinepose_mm.deploy.deploy has moved to refinepose_mm.apis.deploy',
                      FutureWarning, stacklevel=2)
        from .fold import deploy
        return deploy
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
