"""How the weights of a checkpoint fit a model: by names, shapes and kinds of numbers."""

from __future__ import annotations

import re

from torch import Tensor, nn


def unwrapped(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the names that they had before DistributedDataParallel."""
    return {re.sub('^module[.]', '', name): value for name, value in weights.items()}


def compare_weights(model: nn.Module, weights: dict[str, Tensor]) -> tuple[int, str]:
    """How a checkpoint fits a model.

    Any precision fits. Integers in the place of floats, or complex numbers, do not: torch would
    convert them without a word.

    Returns:
        Number of the model's tensors that fit, and what does not fit: counts with first names;
        empty if all do.
    """
    weights = unwrapped(weights)
    target = model.state_dict()
    shared = {name: (weights[name], value) for name, value in target.items() if name in weights}
    groups = {
        'missing': [name for name in target if name not in weights],
        'unknown': [name for name in weights if name not in target],
        'of another shape': [
            f'{name} {tuple(given.shape)} in place of {tuple(value.shape)}'
            for name, (given, value) in shared.items() if given.shape != value.shape],
        'of another kind of numbers': [
            f'{name} {given.dtype} in place of {value.dtype}'
            for name, (given, value) in shared.items()
            if given.shape == value.shape and _kind(given) != _kind(value)]}
    fitting = len(target) - sum(
        len(names) for kind, names in groups.items() if kind != 'unknown')
    problems = [f'{len(names)} {kind}: {", ".join(names[:3])}{", ..." if names[3:] else ""}'
                for kind, names in groups.items() if names]
    if not problems:
        return fitting, ''
    return fitting, '; '.join([f'{fitting} of {len(target)} tensors of the model fit', *problems])


def _kind(value: Tensor) -> tuple[bool, bool]:
    return value.is_floating_point(), value.is_complex()
