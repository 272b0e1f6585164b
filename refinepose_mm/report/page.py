"""The page: one HTML file with charts and photos inside, which needs neither server nor network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
from markupsafe import Markup

from . import charts
from .comparison import Comparison
from .errors import NAMES, NOT_LABELLED, ORDER, Costs
from .metrics import Curve, Part
from .pictures import KIND_COLORS, Picture
from .reliability import Reliability
from .study import Study, plural
from .words import (
    interval,
    is_ap,
    main_metric,
    number,
    on_persons,
    per_cent,
    verdict,
    verdict_on,
)

MEANINGS = {
    'good': 'on its place, as nearly as people agree',
    'jitter': 'near its place, and not exact',
    'inversion': 'on its partner of the other side, of the same person',
    'swap': 'on that joint of another person',
    'miss': 'near none of these',
    'not found': 'nobody was found where the person is'}
BANDS = 10  # rows of a curve's table


class Chart(NamedTuple):
    """A question, the chart that answers it, and its numbers.

    Attributes:
        question: The heading.
        svg: The chart.
        note: A sentence below it.
        head: Names of the table's columns.
        rows: Of the table.
    """

    question: str
    svg: Markup
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class Album(NamedTuple):
    """Pictures under one heading.

    Attributes:
        title: The heading.
        note: What is side by side.
        pictures: Theirs.
    """

    title: str
    note: str
    pictures: list[Picture]


class Names(NamedTuple):
    """What the page calls things.

    Attributes:
        model: The model's.
        other: The other one's, or empty.
        data: The test data's.
    """

    model: str
    other: str
    data: str


def render(names: Names, model: Study, other: Study | None, comparison: Comparison | None,
           albums: Sequence[Album], facts: Sequence[tuple[str, str]]) -> str:
    """The page's text.

    Args:
        names: What it calls things.
        model: What was computed.
        other: Of the other model, to compare with.
        comparison: Of both.
        albums: Photos.
        facts: How it was measured: what, and the answer.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    figures = model.scores.figures
    main = main_metric(list(figures))
    top = []
    if comparison is not None:
        row = next((row for row in comparison.rows if row.name == main), comparison.rows[0])
        top = verdict_on(row, names.model, names.other)
    return environment.get_template('page.html').render(
        names=names, verdict=[*top, *verdict(model)],
        metrics=[(name, number(one.value), interval(one)) for name, one in figures.items()],
        remark=model.scores.remark, cards=_cards(model, main),
        persons=int(model.by.counted.any(1).sum()), photos=len(set(
            model.table.truth.image[model.by.counted.any(1)].tolist())),
        sections=[*_compared(names, comparison), *_sections(names, model, other)],
        albums=albums, facts=facts, heat=(heat_head(), heat_rows(model)),
        score=model.costs.score, kinds=[
            (name, KIND_COLORS[name], MEANINGS[name]) for place, name in enumerate(NAMES)
            if (model.kind == place).any() or name == 'good'])


def _cards(model: Study, main: str) -> list[tuple[str, str, str]]:
    """The three figures to remember: label, value, interval."""
    figure = model.scores.figures[main]
    oks = model.person_oks[np.isfinite(model.person_oks)]
    cards = [(main, number(figure.value), interval(figure)),
             (f'of 100 joints right ({model.by.name})', per_cent(model.all.share.value),
              interval(model.all.share, 100)),
             ('median OKS of a person', f'{np.median(oks):.2f}', '')]
    return [cards[0], *cards[1 if is_ap(main) else 2:]]


def _sections(names: Names, model: Study, other: Study | None
              ) -> list[tuple[str, str, list[Any]]]:
    """Title, introduction and charts of each section; some show the other model, too."""
    both = [(names.model, model), *([(names.other, other)] if other else [])]
    by = f'share of right joints, of 100 ({model.by.name})'
    sections = [
        ('How exact is it?', '', [
            _chart('How near are the joints?', charts.curve(
                [(name, one.pck) for name, one in both], f'threshold, in shares of {_item(model)}',
                'of 100 joints nearer', model.by.share),
                f'A joint counts as right on this page if it is {model.by}.',
                *_curve_table(model.pck, 'nearer than')),
            _chart('How many persons are good as a whole?', charts.curve(
                [(name, one.oks) for name, one in both], 'OKS', 'of 100 persons at least', .5),
                'OKS is 1 where all joints of a person are on their places; AP counts persons '
                'above .5 to .95.', *_curve_table(model.oks, 'OKS at least'))]),
        ('Where is it hard?', '', [
            _dots('Which joints are hard?', model.joints, by, 'Lines are intervals of 95 %.',
                  [(name, one.joints) for name, one in both]),
            *([_dots('Are small persons harder?', model.sizes, by, 'Persons in groups of equal '
                     "number, by the root of the box's area.")] if model.sizes else []),
            *([_dots('Are hidden joints harder?', model.visibility, by, 'By the flag v of the '
                     'annotations.')] if model.visibility else []),
            *([_dots('Does it depend on the detector?', model.boxes, by, 'By the overlap (IoU) of '
                     "the detector's box with the annotated one.")] if model.boxes else [])]),
        ('What goes wrong?', 'Kinds of errors after Ronchi and Perona, ICCV 2017.', [
            _chart('Which errors, on which joints?', charts.kinds(model.table, model.kind), '',
                   ['joint', *NAMES], _kind_rows(model)),
            _chart('What does each kind cost?', charts.waterfall(model.costs),
                   f'{model.costs.score} if errors were moved to their places, one kind after the '
                   'other. The rest is the order of persons, those not found, and ones too many.'
                   if model.costs.score == 'AP' else
                   'Share of right joints if errors were moved to their places, one kind after the '
                   'other. The rest are joints of persons not found, and ones that are good by OKS '
                   'and yet not right.',
                   ['kind', f'{model.costs.score}, one after the other', 'this kind alone'],
                   _cost_rows(model.costs))])]
    if model.reliability:
        sections.append(('Can the scores be trusted?', '', [_reliability(model.reliability)]))
    training = model.training
    if training:
        drawn = []
        if len(training.loss) > 1:
            drawn.append(_chart('Does the loss still fall?', charts.line(
                training.loss, 'step', 'loss', log=True), '', ['step', 'loss'],
                [(str(step), f'{value:.4g}') for step, value in _some(training.loss)]))
        main = main_metric([*training.scores] or [''])
        for name in dict.fromkeys([main, *training.scores]):
            points = training.scores.get(name, [])
            if len(points) > 1 and len(drawn) < 2:
                drawn.append(_chart(f'Does {name} still rise?', charts.line(
                    points, 'epoch', name), 'On the validation data, during training.',
                    ['epoch', name], [(str(step), number(value)) for step, value in points]))
        if drawn:
            sections.append(('How did training go?', '', drawn))
    return sections


def _compared(names: Names, comparison: Comparison | None) -> list[tuple[str, str, list[Any]]]:
    if comparison is None:
        return []
    rows = [(row.name, number(row.first), number(row.second), f'{row.difference.value:+.3f}',
             interval(row.difference)) for row in comparison.rows]
    head = ['metric', names.model, names.other, 'difference', 'interval of 95 %']
    return [(f'{names.model} against {names.other}',
             'The same images are drawn for both, so that intervals are those of the difference.', [
                 _chart('On which joints do they differ?', charts.differences(
                     comparison.joints, 'of 100 joints, more right', names.model, names.other),
                     'Grey: the interval holds 0, so no difference shows.',
                     ['joint', 'joints', 'difference, of 100', 'interval of 95 %'],
                     [(part.name, str(part.count), f'{100 * part.share.value:+.1f}',
                       interval(part.share, 100)) for part in comparison.joints]),
                 _chart('On how many persons?', charts.persons(
                     comparison, names.model, names.other), on_persons(comparison), head, rows)])]


def _chart(question: str, svg: str, note: str, head: Sequence[str],
           rows: Sequence[Sequence[str]]) -> Chart:
    return Chart(question, Markup(svg), note, head, rows)


def _dots(question: str, parts: list[Part], x: str, note: str,
          groups: Sequence[tuple[str, list[Part]]] = ()) -> Chart:
    return _chart(question, charts.dots(groups or [('', parts)], x), note,
                  ['', 'joints', 'right, of 100', 'interval of 95 %'],
                  [(part.name, str(part.count), per_cent(part.share.value),
                    interval(part.share, 100)) for part in parts])


def _curve_table(curve: Curve, head: str) -> tuple[list[str], list[tuple[str, ...]]]:
    step = max(1, (len(curve.thresholds) - 1) // BANDS)
    return [head, 'of 100', 'interval of 95 %'], [
        (f'{threshold:g}', per_cent(value), f'{100 * low:.1f} to {100 * high:.1f}')
        for threshold, value, low, high in list(zip(*curve))[::step]]


def _kind_rows(model: Study) -> list[tuple[str, ...]]:
    return [(name, *(str(int((model.kind[:, joint] == place).sum()))
                     for place in range(len(NAMES))))
            for joint, name in enumerate(model.table.joints.names)
            if (model.kind[:, joint] != NOT_LABELLED).any()]


def _cost_rows(costs: Costs) -> list[tuple[str, str, str]]:
    return [('now', f'{costs.now:.3f}', ''),
            *((plural(name), f'{gain:+.3f}', f'{costs.alone[name]:+.3f}')
              for name, gain in costs.steps), ('the rest', f'{costs.rest:+.3f}', '')]


def heat_rows(model: Study) -> list[tuple[str, list[tuple[str, float]]]]:
    """Joint, and for each kind of ORDER what it costs, in hundredths, and how deep its colour."""
    most = max(1e-9, float(model.costs.by_joint.max()))
    return [(name, [(f'{100 * value:.1f}', max(0., value / most)) for value in row])
            for name, row in zip(model.table.joints.names, model.costs.by_joint)]


def _reliability(found: Reliability) -> Chart:
    note = ('Right is here what OKS holds for near: good joints and jitters. Expected calibration '
            f'error {found.error:.3f}. ')
    if np.isfinite(found.order):
        note += (f'Of 100 pairs of a right and a wrong joint, {100 * found.order:.0f} have the '
                 'higher score on the right one.')
    return _chart('Is a score of 0.8 right eight times of ten?', charts.scores(found), note,
                  ['scores', 'joints', 'mean score', 'right', 'interval of 95 %'],
                  [(f'{one.low:.1f} to {one.high:.1f}', str(one.count), f'{one.score:.3f}',
                    number(one.right.value), interval(one.right)) for one in found.bins])


def _item(model: Study) -> str:
    return {'bbox': "the box's longer side", 'head': "the head's length",
            'torso': "the torso's length"}[model.by.item]


def _some(points: list, most: int = 20) -> list:
    return points[::max(1, -(-len(points) // most))]


def heat_head() -> list[str]:
    """Columns of :func:`heat_rows`."""
    return [plural(NAMES[kind]) for kind in ORDER]
