"""Cheap steps that the backward pass computes again instead of keeping what they made."""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .compiling import is_compiling


def recompute(function: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
    """``function(*inputs)``; of its intermediate results none is kept for the backward pass.

    Made for an elementwise or depthwise step before a product with a weight. The backward pass
    needs the input of that product but not its output, and torch ends the recomputation at the
    last tensor it needs: the step is done twice, the product once.

    Args:
        function: Deterministic; may use parameters, but must not change buffers such as the
            running statistics of BatchNorm, which would count twice.
        inputs: What it is called with; these are kept.
    """
    if not torch.is_grad_enabled() or is_compiling():  # a compiler plans this itself
        return function(*inputs)
    return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
