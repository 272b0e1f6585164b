"""A checkpoint's content as plain values: any torch reads it with ``weights_only=True``.

Plain are numbers, strings, booleans, None, tensors, and dicts, lists, tuples and sets of them.
MMEngine also pickles HistoryBuffers, numpy values and functions, which torch refuses to read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device)
HISTORY_KEYS = {'log_history', 'count_history', 'max_length'}


def to_plain(value: object, name: str, left_out: list[str]) -> object:
    """The value with plain values in the place of others.

    numpy numbers become numbers, numeric arrays tensors of the same type, paths strings,
    HistoryBuffers dicts of float32 values, int64 counts and their length.

    Args:
        value: A tree of dicts and sequences; it stays as it is.
        name: How messages call the value.
        left_out: Takes the names of dict entries that have no plain form. They are missing in the
            result; an entry whose sequence has such an element is missing as a whole.

    Raises:
        TypeError: If the value itself has no plain form.
    """
    if isinstance(value, np.generic):  # before float, which np.float64 is as well
        return to_plain(value.item(), name, left_out)
    if isinstance(value, np.ndarray):
        if value.dtype.kind in 'biufc':
            return torch.tensor(value)
        return to_plain(value.tolist(), name, left_out)
    if isinstance(value, Tensor) or type(value) in PLAIN:
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, HistoryBuffer):
        values, counts = value.data
        return dict(log_history=torch.tensor(values, dtype=torch.float32),
                    count_history=torch.tensor(counts, dtype=torch.int64),
                    max_length=value.max_length)
    if isinstance(value, dict):
        plain = {}
        for key, item in value.items():
            try:
                plain[to_plain(key, name, left_out)] = to_plain(item, f'{name}.{key}', left_out)
            except TypeError:
                left_out.append(f'{name}.{key}')
        return plain
    kinds: tuple[tuple[Any, Any], ...] = (
        (tuple, tuple), ((list, deque), list), ((set, frozenset), set))
    for kind, target in kinds:
        if isinstance(value, kind):
            return target(to_plain(item, f'{name}.{index}', left_out)
                          for index, item in enumerate(value))
    raise TypeError(f'{name} is {type(value).__name__}, which a checkpoint cannot hold')


def to_histories(scalars: dict) -> dict:
    """MMEngine's ``log_scalars`` with HistoryBuffers again; what is none is left out."""
    histories = {}
    for name, value in scalars.items():
        if isinstance(value, dict) and value.keys() == HISTORY_KEYS:
            numbers, counts, length = (value[key] for key in (
                'log_history', 'count_history', 'max_length'))
            if (isinstance(numbers, Tensor) and isinstance(counts, Tensor)
                    and numbers.ndim == 1 and numbers.shape == counts.shape
                    and type(length) is int):
                histories[name] = HistoryBuffer(numbers.numpy(), counts.numpy(), length)
        elif isinstance(value, HistoryBuffer):
            histories[name] = value
    return histories


def is_dense(value: object) -> bool:
    """Whether it is a tensor on the CPU, not sparse or quantised, with a place for each number.

    Without the last, a file of a few bytes could ask for any amount of memory.
    """
    return (isinstance(value, Tensor) and value.device.type == 'cpu'
            and value.layout == torch.strided and not value.is_quantized
            and value.numel() * value.element_size() <= value.untyped_storage().nbytes())


def require_dense(value: object, source: str) -> None:
    """Check that all tensors in a tree of dicts and sequences are dense.

    Raises:
        ValueError: If one is not; names it.
    """
    for name, tensor in _tensors(value):
        if not is_dense(tensor):
            raise ValueError(f'{source} holds {name}, which is sparse, quantised, repeated or not '
                             'on the CPU')


def require_weights(weights: object, source: str) -> None:
    """Check that it is a table of dense tensors by name.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(weights, dict) or not all(
            isinstance(name, str) and is_dense(value) for name, value in weights.items()):
        raise ValueError(f'{source} holds no table of tensors')


def _tensors(value: object, name: str = '') -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f'{name}.{key}'.lstrip('.'))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _tensors(item, f'{name}.{index}')


def non_finite(state_dict: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that contain NaN or infinity."""
    return [name for name, value in state_dict.items()
            if isinstance(value, Tensor) and value.is_floating_point()
            and not torch.isfinite(value).all()]
