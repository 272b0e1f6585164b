"""Ratios of two benchmarks: what became faster or slower beside the same reference.

Times of two days or machines cannot be compared, ratios within a run can: each round times all
functions in turns, so a ratio of a round has seen one machine in one state.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

FIELDS = ('task', 'batch', 'img_size', 'dtype')  # what makes two results the same measurement


class Ratio(NamedTuple):
    """Of a function's times to the reference's, over the rounds: median and quartiles."""

    low: float
    median: float
    high: float


def read(path: Path) -> dict[str, Any]:
    """The timings that an earlier `refinepose benchmark --output` wrote.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is none of those.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        for result in content['results']:
            _key(result)
            for times in result['seconds'].values():
                _ratio(times, times)
        dict(content['machine'])
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise ValueError(f'{path} is no output of `refinepose benchmark`: '
                         f'{type(error).__name__} {error}') from None
    return content


def compare(before: dict[str, Any], now: dict[str, Any]) -> str:
    """A Markdown table of the ratios of both, and what the machines were.

    The reference of a measurement is its first function that both have. A change is said where the
    quartiles over the rounds lie apart.

    Args:
        before: As :func:`read` gives it.
        now: The same of this run.
    """
    earlier = {_key(result): result['seconds'] for result in before['results']}
    rows = []
    for result in now['results']:
        then, seconds = earlier.get(_key(result), {}), result['seconds']
        shared = [name for name in seconds if name in then]
        for name in shared[1:]:
            old = _ratio(then[name], then[shared[0]])
            new = _ratio(seconds[name], seconds[shared[0]])
            word = 'slower' if new.low > old.high else 'faster' if new.high < old.low else '-'
            what = '{task}, {}x{}, batch {batch}, {dtype}'.format(*result['img_size'], **result)
            rows.append(f'| {what} | {name} / {shared[0]} | {_in_words(old)} | {_in_words(new)} | '
                        f'{new.median / old.median - 1:+.0%} | {word} |')
    machines = [', '.join(f'{key} {value}' for key, value in part['machine'].items())
                for part in (before, now)]
    if not rows:
        return 'nothing to compare: no measurement has two functions that both files have'
    return '\n'.join([
        f'before: {machines[0]}', f'now: {machines[1]}', '',
        '| measurement | ratio of times | before | now | change | beyond the quartiles |',
        '|---|---|---|---|---|---|', *rows])


def _key(result: dict[str, Any]) -> tuple:
    return tuple(tuple(value) if isinstance(value, list) else value
                 for value in (result[field] for field in FIELDS))


def _ratio(times: list[float], reference: list[float]) -> Ratio:
    ratios = [time / other for time, other in zip(times, reference)]
    if len(ratios) < 2:
        return Ratio(ratios[0], ratios[0], ratios[0])
    return Ratio(*statistics.quantiles(ratios, n=4, method='inclusive'))


def _in_words(ratio: Ratio) -> str:
    return f'{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})'
