"""Cheap steps that the backward pass computes again instead of keeping what they made."""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .compiling import is_compiling


class Recomputes:
    """Part of a module whose backward pass computes cheap steps again, if it is told to.

    Attributes:
        recomputes: Whether it does; :func:`set_recompute` sets it for all parts of a model.
    """

    recomputes = True


def set_recompute(module: nn.Module, wanted: bool) -> None:
    """Say for all parts of a module whether they recompute."""
    for part in module.modules():
        if isinstance(part, Recomputes):
            part.recomputes = wanted


def recompute(function: Callable[..., Tensor], *inputs: Tensor | None,
              wanted: bool = True) -> Tensor:
    """``function(*inputs)`` without keeping its intermediate results for the backward pass.

    For a cheap step that feeds a matrix product: backward recomputes the step, not the product,
    because torch stops the recomputation at the last tensor that it needs.

    Args:
        function: Deterministic. It may use parameters. It must not change buffers, such as the
            running statistics of BatchNorm, for they would change twice.
        inputs: Arguments of the function; these are kept.
        wanted: False to keep the intermediate results.
    """
    if not wanted or not torch.is_grad_enabled() or is_compiling():  # a compiler plans this itself
        return function(*inputs)
    return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
