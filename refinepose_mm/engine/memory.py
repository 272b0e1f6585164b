"""Faster training steps on CPUs: glibc keeps freed memory for the next step."""

from __future__ import annotations

import ctypes
import sys

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

# Parameters of mallopt(3), from glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_memory() -> bool:
    """Stop glibc from returning freed memory to the system, until the process ends.

    Above 32 MiB glibc maps fresh zeroed pages for each allocation and unmaps them on free. At
    batch 16 that took a sixth to a third of RefinePose-B's training step. Kept memory is reused;
    the process needs about 25 % more of it, because freed blocks do not fit every new tensor.

    Returns:
        True if the C library is glibc and accepted both settings. Otherwise nothing changes.
    """
    if not sys.platform.startswith('linux'):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)  # musl has none
    return bool(mallopt and mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))


@HOOKS.register_module()
class KeepMemoryHook(Hook):
    """Call :func:`keep_memory` before training on a CPU; do nothing on other devices."""

    def before_train(self, runner: Runner) -> None:
        """Change the settings when the model is built and its device known."""
        if next(runner.model.parameters()).device.type == 'cpu' and keep_memory():
            runner.logger.info('Freed memory is kept for the next step (KeepMemoryHook).')
