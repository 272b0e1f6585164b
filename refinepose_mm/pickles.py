"""What a checkpoint may contain beside tensors: numbers and booleans of numpy, and HistoryBuffers.

MMEngine's checkpoints refer to numpy and HistoryBuffer by name, and ``torch.load`` with
``weights_only=True`` refuses names that nobody vouches for. numpy's own functions cannot be
vouched for: ``numpy.dtype``, ``ndarray.__setstate__`` and ``scalar`` take pointers and sizes from
the file. The stand-ins here answer to the same names, check each value, and never let a file
touch a class.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pickle import UnpicklingError

import numpy as np
from mmengine.logging.history_buffer import HistoryBuffer

NUMBERS = frozenset('b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16'.split())
STATISTICS = frozenset(('min', 'max', 'current', 'mean'))


def _require(accepted: bool, message: str) -> None:
    if not accepted:
        raise UnpicklingError(f'{message} in a checkpoint')


class NumberType:
    """In the place of ``numpy.dtype``: a type of numbers or booleans.

    Args:
        code: The type's code as numpy pickles it, such as ``f8``; see :data:`NUMBERS`.
        align: Ignored, as numpy does for numbers.
        copy: Ignored.

    Raises:
        UnpicklingError: For objects, structures, raw memory, strings and dates.
    """

    def __init__(self, code: str, align: bool = False, copy: bool = False):
        _require(type(code) is str and code in NUMBERS, f'numpy type {code!r:.80}')
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        """Take the byte order; a type of numbers has nothing else to say."""
        _require(type(state) is tuple and len(state) == 8 and state[0] == 3
                 and state[1] in ('<', '>', '|', '=') and state[2:] == (None, ) * 3 + (-1, -1, 0),
                 f'state {state!r:.80} of a numpy type')
        self.dtype = self.dtype.newbyteorder(state[1])

    def require_fit(self, content: object, count: int) -> None:
        """Check that bytes hold this many values, and that booleans are 0 or 1."""
        size = count * self.dtype.itemsize
        _require(type(content) is bytes and len(content) == size,
                 f'numpy values that are not {size} bytes')
        _require(self.dtype.kind != 'b' or not content.strip(b'\0\1'),
                 'numpy booleans other than 0 and 1')


class NumberArray(np.ndarray):
    """In the place of ``numpy.ndarray``: an array of numbers or booleans, set once from a file."""

    def __new__(cls) -> NumberArray:
        """Nothing yet; the file's values follow in ``__setstate__``."""
        return super().__new__(cls, 0, np.int8)

    def __setstate__(self, state: tuple) -> None:
        """Take shape, type and values after checking that they agree."""
        _require(type(state) is tuple and len(state) == 5 and state[0] == 1
                 and not hasattr(self, 'complete'), 'numpy array with an unknown state')
        _, shape, kind, fortran, content = state
        _require(type(shape) is tuple and all(type(size) is int and size >= 0 for size in shape)
                 and len(shape) <= 32 and max(shape, default=0) < 2**31,
                 f'numpy array of shape {shape!r:.80}')
        _require(type(kind) is NumberType, f'numpy array of type {kind!r:.80}')
        kind.require_fit(content, math.prod(shape))
        super().__setstate__((1, shape, kind.dtype, bool(fortran), content))
        self.complete = True

    def __reduce_ex__(self, protocol: int) -> tuple:
        """Pickle as a plain array: whoever reads it needs nothing of ours."""
        return self.view(np.ndarray).__reduce_ex__(protocol)


class FileHistory(HistoryBuffer):
    """In the place of ``HistoryBuffer``: becomes one that shares nothing with the file."""

    def __init__(self):
        raise UnpicklingError('call of HistoryBuffer in a checkpoint')

    def __setstate__(self, state: dict) -> None:
        """Take the values; the file's table of statistics, which is the class's, is dropped."""
        _require(type(state) is dict and state.keys() <= {
            'max_length', '_log_history', '_count_history', 'statistics_methods'},
            'HistoryBuffer with unknown attributes')
        values, counts = state.get('_log_history'), state.get('_count_history')
        length = state.get('max_length')
        _require(isinstance(values, np.ndarray) and isinstance(counts, np.ndarray)
                 and values.ndim == 1 and values.shape == counts.shape and type(length) is int,
                 'HistoryBuffer without its values')
        self.__class__ = HistoryBuffer
        self.__init__(np.array(values), np.array(counts), length)


def reconstruct(kind: type, shape: tuple, code: bytes) -> NumberArray:
    """In the place of numpy's ``_reconstruct``; shape and code are placeholders in every file."""
    _require(kind is NumberArray, f'array of type {kind!r:.80}')
    return NumberArray()


def scalar(kind: NumberType, content: bytes) -> np.generic:
    """In the place of numpy's ``scalar``: one number from its bytes."""
    _require(type(kind) is NumberType, f'numpy value of type {kind!r:.80}')
    kind.require_fit(content, 1)
    return np.frombuffer(content, kind.dtype)[0]


def history_statistic(owner: type, name: str) -> str:
    """In the place of ``getattr``, by which a pickled HistoryBuffer names its four statistics."""
    _require(owner is FileHistory and type(name) is str and name in STATISTICS,
             f'getattr({getattr(owner, "__name__", owner)!s:.80}, {name!r:.80})')
    return name


def empty_bytes(*args: object) -> bytes:
    """In the place of ``bytes``, by which pickle writes the content of an empty array."""
    _require(not args, 'bytes with arguments')
    return b''


def stand_ins() -> list[tuple[Callable, str]]:
    """The stand-ins and the names that they answer to, for ``torch``'s ``add_safe_globals``."""
    pairs = [(FileHistory, 'mmengine.logging.history_buffer.HistoryBuffer'),
             (NumberArray, 'numpy.ndarray'), (NumberType, 'numpy.dtype'),
             (history_statistic, 'builtins.getattr'), (empty_bytes, 'builtins.bytes')]
    for core in ('numpy.core', 'numpy._core'):  # numpy 2 moved them
        pairs += [(reconstruct, f'{core}.multiarray._reconstruct'),
                  (scalar, f'{core}.multiarray.scalar')]
    return pairs
