"""The runs of the study, how many persons, from what and how they learn, and their records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

RECORDS = Path(__file__).parent / 'results/records.jsonl'  # one line for each finished run

# Persons -> steps of a run, in batches of 32.
SIZES = {20: 300, 50: 300, 200: 1000, 1000: 1000, 4500: 1700}
WARM_UP, WARM_UP_SHARE = 500, .3  # as in recipe.py


class Run(NamedTuple):
    """One training."""

    persons: int
    way: str
    steps: int
    seed: int


class Way(NamedTuple):
    """Where a model starts, and how it learns.

    Attributes:
        weights: File of the trained model; None from scratch.
        settings: Of the config.
        same_joints: Whether the joints have the names of the trained model's, which gives the
            head its last layer.
    """

    weights: str | None = None
    settings: dict[str, object] = {}
    same_joints: bool = False


LR, DECAY = 'optim_wrapper.optimizer.lr', 'optim_wrapper.paramwise_cfg.layer_decay_rate'
FROZEN = 'optim_wrapper.paramwise_cfg.custom_keys.{}.lr_mult'
SHORTCUT = 'model.backbone.shortcut'
FULL, SLOW = 5e-3, 1e-3  # learning rates: from scratch, and a fifth of it
WAYS = {
    'scratch': Way(),
    # The encoder of a ViTPose behind a new stem, with a new head.
    'encoder': Way('vitpose', {SHORTCUT: 'identity', DECAY: .75}),
    'encoder_gated': Way('vitpose', {SHORTCUT: 'gated', DECAY: .75}),
    'encoder_gated_flat': Way('vitpose', {SHORTCUT: 'gated', DECAY: 1.}),
    'encoder_gated_frozen': Way('vitpose', {SHORTCUT: 'gated', FROZEN.format('layers'): 0.}),
    # The same ViTPose after `refinepose transplant --head fusion`.
    'transplant': Way('transplant', {DECAY: .75, LR: FULL}),
    'transplant_slow': Way('transplant', {DECAY: .75, LR: SLOW}),
    # A RefinePose with all but the last layer of its head.
    'whole': Way('refinepose', {DECAY: .75, LR: FULL}),
    'whole_flat': Way('refinepose', {DECAY: 1., LR: FULL}),
    'whole_slow': Way('refinepose', {DECAY: .75, LR: SLOW}),
    'whole_frozen': Way('refinepose', {FROZEN.format('backbone'): 0., LR: FULL}),
    # A RefinePose that was trained on the same joints.
    'same_joints_slow': Way('refinepose', {DECAY: .75, LR: SLOW}, same_joints=True),
}


def name_of(run: Run) -> str:
    """A name for files and lines."""
    return f'{run.persons}_{run.way}_{run.steps}_{run.seed}'


def options(run: Run) -> list[str]:
    """The run's ``--cfg-options``: validated at a third, two thirds and the end."""
    epochs = -(-run.steps // -(-run.persons // 32))
    interval = -(-epochs // 3)
    settings = {
        'train_cfg.max_epochs': epochs, 'train_cfg.val_interval': interval,
        'default_hooks.checkpoint.interval': interval,
        'param_scheduler.0.end': min(WARM_UP, max(1, int(WARM_UP_SHARE * run.steps))),
        # No process beside the one thread: other runs have the other cores.
        'train_dataloader.num_workers': 0, 'train_dataloader.persistent_workers': False,
        'val_dataloader.num_workers': 0, 'val_dataloader.persistent_workers': False,
        'randomness.seed': run.seed, **WAYS[run.way].settings}
    return [f'{name}={value}' for name, value in settings.items()]


def key(record: dict) -> Run:
    """Which run a record is of."""
    return Run(*(record[field] for field in Run._fields))


def read(path: Path = RECORDS) -> list[dict]:
    """All records; a file that does not exist has none."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def append(path: Path, record: dict) -> None:
    """Add a record as the last line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('a') as file:
        file.write(json.dumps(record, separators=(',', ':')) + '\n')
