"""Pictures of the study, one for each question, from its records alone."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from records import HEADLINE, METRICS, Rows, final, scores, summary
from rows import load
from scipy.optimize import isotonic_regression

SIZE, DPI, FONT_SIZE = (7., 3.6), 100, 8  # inches, pixels per inch, points
# Left, bottom, width and height of the axes in the figure; the labels stand on the right.
AXES = (.08, .13, .52, .77)


class Question(NamedTuple):
    """What a picture answers, and which rows it shows under which labels."""

    title: str
    labels: dict[str, str]


QUESTIONS = dict(
    stem=Question('Which part of the stem helps?', {
        'stem_and_shortcut_classic': 'RefinePose stem, classic head',
        'refinepose': 'RefinePose: both + FA',
        'stem_conv_max_pool': 'convolution + pooling',
        'stem_max_pool': 'pooling',
        'stem_conv': 'convolution',
        'early_conv_classic': 'ViTPose, early convolutions',
        'vitpose_classic': 'ViTPose: patches, classic head'}),
    decoder=Question('Which part of the decoder helps?', {
        'stem_and_shortcut_classic': 'classic head',
        'refinepose': 'FusionHead',
        'refinepose_taper': 'FusionHead, taper',
        'decoder_bilinear_aggregate': 'FusionHead, no unpooling',
        'decoder_bilinear_relu': 'bilinear, ReLU',
        'decoder_bilinear_unpool_relu': 'bilinear + unpooling, ReLU'}),
    relu=Question('Does a decoder without FA need a ReLU?', {
        'decoder_bilinear_relu': 'bilinear, ReLU',
        'decoder_bilinear_unpool_relu': 'bilinear + unpooling, ReLU',
        'decoder_bilinear': 'bilinear',
        'decoder_bilinear_unpool': 'bilinear + unpooling'}),
    shortcuts=Question('Do the shortcuts help?', {
        'refinepose': 'identity shortcuts',
        'refinepose_gated': 'gated shortcuts',
        'refinepose_no_shortcut': 'no shortcuts'}),
    start=Question('What does a trained ViTPose give?', {
        'vitpose_trained_on@lr=1e-3': 'the ViTPose, trained on',
        'transplant_keep@lr=1e-3': 'transplant, its head',
        'transplant_fusion@lr=1e-3': 'transplant, FusionHead',
        'pretrained_more_gated': 'its encoder alone',
        'refinepose@validate=1': 'from scratch'}))
RATES = Question('Which learning rate?', {
    'stem_and_shortcut_classic': 'RefinePose stem, classic head',
    'refinepose': 'RefinePose',
    'vitpose_classic': 'ViTPose'})
EPOCHS = Question('Does it hold with three times the epochs?', {
    **RATES.labels, 'early_conv_classic': 'ViTPose, early convolutions'})
COSTS = Question('What does accuracy cost?', {
    'vitpose_classic': 'ViTPose',
    'early_conv_classic': 'ViTPose, early convolutions',
    'stem_and_shortcut_classic': 'RefinePose stem, classic head',
    'refinepose': 'RefinePose',
    'refinepose_taper': 'RefinePose, taper',
    'stem_classic_shallow@warmup=500': 'lean: classic head, 6 of 8 blocks',
    'stem_classic_half_pooling@warmup=500': 'pooling stem, half classic head',
    'refinepose_half@warmup=500': 'stem and FusionHead half as wide'})


def new_axes(title: str) -> Axes:
    """Empty axes with room for labels on the right."""
    axes = Figure(figsize=SIZE, dpi=DPI).add_axes(AXES)
    axes.set_title(title, fontsize=FONT_SIZE + 2, loc='left')
    axes.set_ylabel(f'{METRICS[HEADLINE]} on LSPET val (%)', fontsize=FONT_SIZE)
    axes.tick_params(labelsize=FONT_SIZE)
    axes.grid(alpha=.3)
    axes.spines[['top', 'right']].set_visible(False)
    return axes


def add_labels(axes: Axes, labels: dict[Line2D, str]) -> None:
    """Write a label beside the end of each line, moved up or down where two would overlap."""
    lines = sorted(labels, key=lambda line: line.get_ydata()[-1])
    low, high = axes.get_ylim()
    gap = 1.3 * FONT_SIZE / 72 / (SIZE[1] * AXES[3]) * (high - low)
    steps = gap * np.arange(len(lines))
    ends = np.array([line.get_ydata()[-1] for line in lines])
    for line, height in zip(lines, isotonic_regression(ends - steps).x + steps):
        axes.annotate(labels[line], line.get_xydata()[-1], (1.04, height), va='center',
                      textcoords=('axes fraction', 'data'), fontsize=FONT_SIZE,
                      color=line.get_color(), annotation_clip=False,
                      arrowprops=dict(arrowstyle='-', color=line.get_color(), linewidth=.5,
                                      relpos=(0, .5)))


def plot_epochs(axes: Axes, rows: Rows, names: dict[str, str],
                **style: str) -> dict[Line2D, str]:
    """A line through the means of each named row, with the range of its seeds."""
    labels = {}
    for color, (row, name) in enumerate(names.items()):
        curves = [scores(record) for record in rows[row]]
        epochs = list(curves[0])
        values = np.array([[curve[epoch] for epoch in epochs] for curve in curves])
        line, = axes.plot(epochs, values.mean(0), color=f'C{color}', **style)
        axes.fill_between(epochs, values.min(0), values.max(0), alpha=.15, color=f'C{color}',
                          linewidth=0)
        labels[line] = f'{name} {summary(values[:, -1].tolist())}'
    axes.set_xlabel('epoch', fontsize=FONT_SIZE)
    return labels


def draw_question(question: Question, rows: Rows) -> Figure:
    """Curves over the epochs."""
    axes = new_axes(question.title)
    add_labels(axes, plot_epochs(axes, rows, question.labels))
    return axes.figure


def draw_more_epochs(rows: Rows, longer: Rows) -> Figure:
    """Curves of cpu_long, and dashed ones of the cpu scale."""
    axes = new_axes(EPOCHS.title)
    highest = max(plot_epochs(axes, rows, EPOCHS.labels, linestyle='--'),
                  key=lambda line: line.get_ydata()[-1])
    epochs, score = highest.get_xydata()[-1]
    axes.annotate(f'{epochs:.0f} epochs', (epochs, score), (0, 5), textcoords='offset points',
                  ha='center', fontsize=FONT_SIZE)
    add_labels(axes, plot_epochs(axes, longer, EPOCHS.labels))
    return axes.figure


def draw_rates(rows: Rows, scale: str) -> Figure:
    """The last score over the learning rate: means as a line, each seed as a dot."""
    axes = new_axes(RATES.title)
    labels, ticks = {}, {}
    for color, (model, name) in enumerate(RATES.labels.items()):
        points = {load(row, scale).optim_wrapper.optimizer.lr: final(records)
                  for row, records in rows.items()
                  if row == model or row.startswith(f'{model}@lr=')}
        rates = sorted(points)
        line, = axes.plot(rates, [statistics.mean(points[rate]) for rate in rates],
                          color=f'C{color}')
        for rate in rates:
            axes.scatter([rate] * len(points[rate]), points[rate], s=12, color=f'C{color}')
        labels[line] = name
        ticks.update({rate: f'{rate:.0e}'.replace('e-0', 'e-') for rate in rates})
    axes.set_xscale('log')
    axes.set_xticks(list(ticks), ticks.values())
    axes.minorticks_off()
    axes.set_xlabel('learning rate (line: mean, dots: seeds)', fontsize=FONT_SIZE)
    add_labels(axes, labels)
    return axes.figure


def draw_costs(rows: Rows) -> Figure:
    """The last score over the multiply-accumulates; a line joins rows that none beats in both."""
    axes = new_axes(COSTS.title)
    labels, points = {}, []
    for color, (row, name) in enumerate(COSTS.labels.items()):
        values = final(rows[row])
        cost, score = rows[row][0]['macs'] / 1e6, statistics.mean(values)
        axes.plot([cost] * 2, [min(values), max(values)], color=f'C{color}', linewidth=1)
        line, = axes.plot([cost], [score], 'o', markersize=4, color=f'C{color}')
        labels[line] = f'{name} {summary(values)}'
        points.append((cost, score))
    best = [point for point in sorted(points) if point[1] >= max(
        score for cost, score in points if cost <= point[0])]
    axes.step(*zip(*best), where='post', color='grey', linewidth=.8, zorder=0)
    axes.set_xlabel('million multiply-accumulates (line: best for its cost, bars: seeds)',
                    fontsize=FONT_SIZE)
    add_labels(axes, labels)
    return axes.figure


def draw_all(rows_of_scales: dict[str, Rows]) -> dict[str, Figure]:
    """All pictures whose rows have records, by their path in the folder of results."""
    figures = {}
    for scale, rows in rows_of_scales.items():
        for name, question in QUESTIONS.items():
            if question.labels.keys() <= rows.keys():
                figures[f'{scale}/{name}.png'] = draw_question(question, rows)
        if COSTS.labels.keys() <= rows.keys():
            figures[f'{scale}/costs.png'] = draw_costs(rows)
        if RATES.labels.keys() <= rows.keys() and any('@lr=' in row for row in rows):
            figures[f'{scale}/learning_rate.png'] = draw_rates(rows, scale)
    both = [rows_of_scales.get(scale, {}) for scale in ('cpu', 'cpu_long')]
    if all(EPOCHS.labels.keys() <= rows.keys() for rows in both):
        figures['epochs.png'] = draw_more_epochs(*both)
    return figures


def write_all(rows_of_scales: dict[str, Rows], results: Path) -> None:
    """Write all pictures below the folder of results."""
    for path, figure in draw_all(rows_of_scales).items():
        figure.savefig(results / path)
