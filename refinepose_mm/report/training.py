"""The curves of a run, if they lie beside its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple


class Training(NamedTuple):
    """What a run logged.

    Attributes:
        loss: (step, loss) of training.
        scores: Name of a metric -> (epoch or step, value) of each validation.
    """

    loss: list[tuple[int, float]]
    scores: dict[str, list[tuple[int, float]]]


def training(weights: str | Path) -> Training | None:
    """Read the logs beside a checkpoint; None if there are none.

    A run that was interrupted and resumed has several; where steps come twice, the later ones
    count.
    """
    logs = sorted(Path(weights).resolve().parent.glob('*/vis_data/scalars.json'))
    loss: dict[int, float] = {}
    scores: dict[str, dict[int, float]] = {}
    for log in logs:
        for line in log.read_text(encoding='utf-8').splitlines():
            try:
                record = json.loads(line)
            except ValueError:  # the last line of a run that was killed
                continue
            step = record.get('step')
            if not isinstance(step, int):
                continue
            if 'loss' in record:
                loss = {other: value for other, value in loss.items() if other < step}
                loss[step] = float(record['loss'])
                continue
            for name, value in record.items():
                if '/' in name and isinstance(value, (int, float)):
                    before = scores.get(name, {})
                    scores[name] = {other: old for other, old in before.items() if other < step}
                    scores[name][step] = float(value)
    if not loss and not scores:
        return None
    return Training(list(loss.items()), {name: list(part.items())
                                         for name, part in scores.items()})
