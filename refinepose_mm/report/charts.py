"""The charts of the page, as SVG text; each answers one question, which is its heading there."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from .comparison import ALIKE, Comparison
from .errors import NAMES, NOT_LABELLED, Costs
from .metrics import Curve, Part
from .pictures import KIND_COLORS
from .reliability import Reliability
from .table import Table

WIDTH = 5.  # inches; also readable on a phone
BLUE, ORANGE, GREY = '#0072b2', '#d55e00', '#8a8a8a'
ROW = .26  # inches of a row of names
LOWEST = 1.3  # inches that a chart needs for its axis and its legend
STYLE = {
    'svg.fonttype': 'none',  # letters stay letters: the page's font, and found by a search
    'svg.hashsalt': 'refinepose',  # the same numbers give the same file
    'font.size': 10, 'axes.spines.top': False, 'axes.spines.right': False,
    'axes.edgecolor': '#888888', 'axes.labelcolor': '#333333', 'xtick.color': '#333333',
    'ytick.color': '#333333', 'axes.grid': True, 'grid.color': '#e4e4e4', 'axes.axisbelow': True,
    'legend.frameon': False, 'text.parse_math': False}  # names of joints may hold a $


def _canvas(height: float = 3.2, width: float = WIDTH) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(width, max(LOWEST, height)), layout='constrained')
    FigureCanvasSVG(canvas)
    return canvas, canvas.subplots()


def _svg(canvas: Canvas) -> str:
    text = io.StringIO()
    canvas.savefig(text, format='svg', transparent=True, metadata={'Date': None})
    content = text.getvalue()
    return content[content.index('<svg'):]


def _styled(function):
    """Draw with STYLE."""
    def draw(*args, **options):
        with matplotlib.rc_context(STYLE):
            return function(*args, **options)
    draw.__doc__, draw.__name__ = function.__doc__, function.__name__
    return draw


@_styled
def curve(lines: Sequence[tuple[str, Curve]], x: str, y: str, mark: float | None = None) -> str:
    """Curves with the band of their intervals.

    Args:
        lines: Name and curve; a single one needs no legend.
        x: Of the thresholds.
        y: Of the share.
        mark: A threshold to show with its value.
    """
    canvas, axes = _canvas()
    for (name, one), color in zip(lines, (BLUE, ORANGE)):
        axes.fill_between(one.thresholds, 100 * one.low, 100 * one.high, color=color, alpha=.18,
                          linewidth=0)
        axes.plot(one.thresholds, 100 * one.value, color=color, label=_short(name), linewidth=2)
    if mark is not None:
        one = lines[0][1]
        value = 100 * float(np.interp(mark, one.thresholds, one.value))
        axes.plot([mark, mark, 0], [0, value, value], color=GREY, linewidth=1, linestyle=':')
        axes.plot([mark], [value], 'o', color=BLUE)
        rising = one.value[-1] > one.value[0]
        axes.annotate(f'{value:.1f} at {mark:g}', (mark, value), xytext=(8, -14 if rising else 5),
                      textcoords='offset points')
    axes.set(xlabel=x, ylabel=y, ylim=(0, 101), xlim=(lines[0][1].thresholds[0],
                                                      lines[0][1].thresholds[-1]))
    if len(lines) > 1:
        axes.legend()
    return _svg(canvas)


@_styled
def dots(groups: Sequence[tuple[str, Sequence[Part]]], x: str) -> str:
    """A row for each part: its share as a dot, its interval as a line.

    Args:
        groups: Name and parts, the same parts in each; a single one needs no legend.
        x: Of the share, in per cent.
    """
    rows = len(groups[0][1])
    canvas, axes = _canvas(.8 + ROW * rows + (.3 if len(groups) > 1 else 0))
    for number, (name, parts) in enumerate(groups):
        offset = (number - (len(groups) - 1) / 2) * .3
        values = 100 * np.array([part.share.value for part in parts])
        ends = 100 * np.array([[part.share.low, part.share.high] for part in parts]).reshape(-1, 2)
        places = np.arange(rows) + offset
        color = (BLUE, ORANGE)[number]
        axes.hlines(places, ends[:, 0], ends[:, 1], color=color, linewidth=3, alpha=.35)
        axes.plot(values, places, 'o', color=color, label=_short(name), markersize=6)
    axes.set_yticks(range(rows), [_short(part.name) for part in groups[0][1]])
    axes.set(xlabel=x, xlim=(0, 100), ylim=(rows - .4, -.6))
    if len(groups) > 1:
        axes.legend(loc='lower right', bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    return _svg(canvas)


@_styled
def differences(parts: Sequence[Part], x: str, model: str, other: str) -> str:
    """Differences of two models around a line at 0; intervals that hold 0 are grey."""
    canvas, axes = _canvas(.9 + ROW * len(parts))
    for place, part in enumerate(parts):
        value, low, high = (100 * number for number in part.share)
        sure = low > 0 or high < 0
        color = GREY if not sure else BLUE if value > 0 else ORANGE
        axes.hlines(place, low, high, color=color, linewidth=3, alpha=.4)
        axes.plot([value], [place], 'o', color=color, markersize=6)
    axes.axvline(0, color='#333333', linewidth=1)
    ends = np.abs([value for part in parts for value in part.share if np.isfinite(value)])
    limit = max(1., 110 * float(ends.max())) if ends.size else 1.
    axes.set_yticks(range(len(parts)), [_short(part.name) for part in parts])
    axes.set(xlabel=x, xlim=(-limit, limit), ylim=(len(parts) - .4, -.6))
    axes.set_title(f'{_short(other, 20)} better', loc='left', fontsize=10, color=ORANGE)
    axes.set_title(f'{_short(model, 20)} better', loc='right', fontsize=10, color=BLUE)
    return _svg(canvas)


@_styled
def kinds(table: Table, kind: np.ndarray) -> str:
    """For each joint, how many of 100 labelled ones are of each kind of error."""
    labelled = (kind != NOT_LABELLED).sum(0)
    rows = np.flatnonzero(labelled)
    canvas, axes = _canvas(1.2 + ROW * len(rows))
    left = np.zeros(len(rows))
    for number, name in enumerate(NAMES):
        share = 100 * (kind == number).sum(0)[rows] / labelled[rows]
        if share.any():
            axes.barh(np.arange(len(rows)), share, left=left, color=KIND_COLORS[name], label=name,
                      height=.78)
        left += share
    axes.set_yticks(range(len(rows)), [_short(table.joints.names[row]) for row in rows])
    axes.set(xlim=(0, 100), ylim=(len(rows) - .4, -.6), xlabel='of 100 labelled joints')
    axes.grid(False)
    axes.legend(loc='lower center', bbox_to_anchor=(.4, 1), ncols=3, borderaxespad=.2,
                handlelength=1, columnspacing=1.2)
    return _svg(canvas)


@_styled
def waterfall(costs: Costs) -> str:
    """From the score as it is to 1: what each kind of error costs, one after the other."""
    names = [f'{costs.score} now', *(f'without {name}' + ('s' if name != 'miss' else 'es')
                                     for name, _ in costs.steps), 'the rest']
    sizes = [costs.now, *(gain for _, gain in costs.steps), costs.rest]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    colors = [BLUE, *(KIND_COLORS[name] for name, _ in costs.steps), '#cccccc']
    canvas, axes = _canvas(.8 + .34 * len(names))
    axes.barh(range(len(names)), sizes, left=starts, color=colors, height=.7)
    for place, (start, size) in enumerate(zip(starts, sizes)):
        text = f'{size:.3f}' if place == 0 else f'{size:+.3f}'
        right = start + size <= .8
        left = not right and start > .2
        x = start + size + .01 if right else start - .01 if left else start + size - .01
        axes.text(x, place, text, va='center', ha='left' if right else 'right')
    axes.set_yticks(range(len(names)), names)
    axes.set(xlim=(0, 1.001), ylim=(len(names) - .4, -.6), xlabel=costs.score)
    axes.grid(axis='y', visible=False)
    return _svg(canvas)


@_styled
def scores(found: Reliability) -> str:
    """Scores against the share of right joints, over the number of joints with such scores."""
    canvas = Canvas(figsize=(WIDTH, 4.2), layout='constrained')
    FigureCanvasSVG(canvas)
    axes, below = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 100], color=GREY, linestyle=':', label='scores mean what they say')
    x = [one.score for one in found.bins]
    axes.vlines(x, [100 * one.right.low for one in found.bins],
                [100 * one.right.high for one in found.bins], color=BLUE, linewidth=3, alpha=.35)
    axes.plot(x, [100 * one.right.value for one in found.bins], 'o-', color=BLUE,
              label='this model')
    axes.set(ylabel='right, of 100', ylim=(0, 101), xlim=(0, 1))
    axes.legend(loc='upper left')
    below.bar([(one.low + one.high) / 2 for one in found.bins],
              [one.count for one in found.bins], width=.09, color=BLUE, alpha=.6)
    below.set(xlabel='score', ylabel='joints')
    return _svg(canvas)


@_styled
def line(points: Sequence[tuple[int, float]], x: str, y: str, log: bool = False) -> str:
    """A curve of training."""
    canvas, axes = _canvas(2.6)
    steps, values = zip(*points)
    axes.plot(steps, values, 'o-' if len(points) < 30 else '-', color=BLUE, markersize=4)
    axes.set(xlabel=x, ylabel=y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if log and min(values) > 0:
        axes.set_yscale('log')
        axes.yaxis.set_major_formatter('{x:.3g}')
        axes.yaxis.set_minor_formatter('{x:.3g}')
    else:
        axes.set_ylim(0, max(1e-9, 1.08 * max(values)))
    return _svg(canvas)


@_styled
def persons(comparison: Comparison, model: str, other: str) -> str:
    """All persons in the order of their difference in OKS."""
    canvas, axes = _canvas(2.8)
    values = np.sort(comparison.oks[np.isfinite(comparison.oks)])
    x = 100 * (np.arange(len(values)) + .5) / max(1, len(values))
    for part, color in ((values < -ALIKE, ORANGE), (np.abs(values) <= ALIKE, GREY),
                        (values > ALIKE, BLUE)):
        axes.fill_between(x, 0, values, where=part, color=color, alpha=.8, step='mid', linewidth=0)
    axes.axhline(0, color='#333333', linewidth=1)
    axes.set(xlabel='per cent of the persons', ylabel='difference in OKS', xlim=(0, 100),
             ylim=(-1, 1))
    axes.text(2, .85, f'up: {_short(model, 24)} better', color=BLUE)
    axes.text(2, -.93, f'down: {_short(other, 24)} better', color=ORANGE)
    return _svg(canvas)


def _short(text: str, length: int = 26) -> str:
    return text if len(text) <= length else f'{text[:length - 3]}...'
