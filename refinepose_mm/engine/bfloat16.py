"""Training in bfloat16 without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Forward passes under autocast to bfloat16, on CPUs and GPUs.

    Weights, gradients and optimizer stay in float32, and the loss needs no scaling: bfloat16 has
    float32's range. MMEngine's AmpOptimWrapper refuses to run without a GPU.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Cast what runs inside, beside what OptimWrapper does for accumulated gradients."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
