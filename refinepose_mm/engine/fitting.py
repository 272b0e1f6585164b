"""How the weights of a checkpoint fit a model: by names, shapes and kinds of numbers."""

from __future__ import annotations

import re
from collections import OrderedDict

from torch import Tensor, nn


def unwrapped(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the names that they had before DistributedDataParallel."""
    plain = OrderedDict((_inner(name), value) for name, value in weights.items())
    versions = getattr(weights, '_metadata', {})  # of modules, which load by them
    plain._metadata = {_inner(name): value  # type: ignore[attr-defined]
                       for name, value in versions.items()}
    return plain


def _inner(name: str) -> str:
    return re.sub('^module([.]|$)', '', name)


def compare_weights(model: nn.Module, weights: dict[str, Tensor]) -> tuple[int, str]:
    """How a checkpoint fits a model.

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
        'of another kind of numbers': _other_kinds(target, weights)}
    fitting = len(target) - sum(
        len(names) for kind, names in groups.items() if kind != 'unknown')
    problems = [_listed(kind, names) for kind, names in groups.items() if names]
    if not problems:
        return fitting, ''
    return fitting, '; '.join([f'{fitting} of {len(target)} tensors of the model fit', *problems])


def kinds_that_differ(model: nn.Module, weights: dict[str, Tensor]) -> str:
    """Weights of another kind of numbers than the model's; empty if there are none.

    Any precision fits. Integers in the place of floats, or complex numbers, do not: torch would
    convert them without a word.
    """
    names = _other_kinds(model.state_dict(), unwrapped(weights))
    return _listed('of another kind of numbers', names) if names else ''


def _other_kinds(target: dict[str, Tensor], weights: dict[str, Tensor]) -> list[str]:
    return [f'{name} {weights[name].dtype} in place of {value.dtype}'
            for name, value in target.items()
            if name in weights and weights[name].shape == value.shape
            and _kind(weights[name]) != _kind(value)]


def _listed(kind: str, names: list[str]) -> str:
    return f'{len(names)} {kind}: {", ".join(names[:3])}{", ..." if names[3:] else ""}'


def _kind(value: Tensor) -> tuple[bool, bool]:
    return value.is_floating_point(), value.is_complex()
