"""The verdict at the top of the page, in plain words."""

from __future__ import annotations

import numpy as np

from .comparison import Comparison, Row
from .resampling import Figure
from .study import Study, plural

MUCH = .05  # mean distance of score and share, from which scores should not be read as chances


def number(value: float) -> str:
    """A figure as `refinepose test` gives it: shares with 3 decimals, larger ones with 2."""
    if not np.isfinite(value):
        return '-'
    return f'{value:.3f}' if abs(value) <= 1 else f'{value:.2f}'


def per_cent(value: float) -> str:
    """A share, of 100."""
    return f'{100 * value:.1f}' if np.isfinite(value) else '-'


def interval(figure: Figure, scale: float = 1) -> str:
    """Such as '0.290 to 0.334', or nothing."""
    if not np.isfinite(figure.low):
        return ''
    if scale != 1:
        return f'{scale * figure.low:.1f} to {scale * figure.high:.1f}'
    return f'{number(figure.low)} to {number(figure.high)}'


def main_metric(names: list[str]) -> str:
    """The metric that stands for the others: AP, else the first one."""
    return next(filter(is_ap, names), names[0])


def is_ap(name: str) -> bool:
    """Whether a metric is COCO's AP."""
    return name.rsplit('/', 1)[-1] == 'AP'


def verdict(study: Study) -> list[str]:
    """What the figures say: how good, what costs most, which joints, and the scores."""
    figures = study.scores.figures
    name = main_metric(list(figures))
    main = figures[name]
    share = study.all.share
    sentences = [f'{round(100 * share.value)} of 100 joints are right.']
    if is_ap(name):
        sentences = [f'{round(100 * share.value)} of 100 joints are right; AP is '
                     f'{number(main.value)}.']
    sentences.append(f'Right is {study.by}.' + (
        f' With 95 % confidence {name} is {interval(main)}.' if interval(main) else ''))
    kind, gain = max(study.costs.alone.items(), key=lambda pair: pair[1])
    if gain > .005:
        sentences.append(
            f'The costliest errors are {plural(kind)}: without them {study.costs.score} would be '
            f'{study.costs.now + gain:.3f} instead of {study.costs.now:.3f}.')
    if len(study.joints) > 1:
        ordered = sorted(study.joints, key=lambda part: part.share.value)
        sentences.append(
            f'Hardest is {ordered[0].name} ({per_cent(ordered[0].share.value)} of 100 right), '
            f'easiest {ordered[-1].name} ({per_cent(ordered[-1].share.value)}).')
    missing = int(((study.table.match < 0) & study.by.counted.any(1)).sum())
    if missing:
        sentences.append(f'{missing} of {int(study.by.counted.any(1).sum())} persons were not '
                         'found at all.')
    if study.reliability:
        found = study.reliability
        if found.error < MUCH:
            meaning = 'can be read as chances'
        elif found.mean > found.right:
            meaning = 'promise too much'
        else:
            meaning = 'promise too little'
        sentences.append(f'Scores {meaning}: {found.mean:.2f} on average, where '
                         f'{found.right:.2f} are near their places.')
    return sentences


def verdict_on(row: Row, model: str, other: str) -> list[str]:
    """Which of two models is better by one metric, and how sure that is."""
    value, low, high = row.difference
    metric = 'AP' if is_ap(row.name) else row.name
    by = f'{metric} {number(row.first)} against {number(row.second)}'
    if not np.isfinite(low):
        return [f'{model} against {other}: {by}.']
    sure = (f'The difference in {row.name} is {value:+.3f}, with 95 % confidence {low:+.3f} to '
            f'{high:+.3f}.')
    if low <= 0 <= high:
        return [f'No difference between {model} and {other} shows: {by}.', sure]
    return [f'{model} is {"better" if low > 0 else "worse"} than {other}: {by}.', sure]


def on_persons(comparison: Comparison) -> str:
    """On how many persons one of two models is better."""
    total = comparison.better + comparison.worse + comparison.alike
    return (f'Better on {comparison.better} of {total} persons, worse on {comparison.worse}, '
            f'alike on {comparison.alike}.')
