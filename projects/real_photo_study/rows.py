"""The rows of the study: a config file for each model, and models with one changed number.

A row is named MODEL, which is configs/MODEL.py, or MODEL@SETTING=VALUE. A new row is a new file or
a new line in `CHANGED`.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config

CONFIGS = Path(__file__).resolve().parent / 'configs'
MODELS = sorted(path.stem for path in CONFIGS.glob('*.py'))
# Short names of the keys of a config that rows change.
SETTINGS = dict(
    lr='optim_wrapper.optimizer.lr',
    warmup='param_scheduler.0.end',  # steps
    validate='train_cfg.val_interval',  # epochs
    depthwise_decay='optim_wrapper.paramwise_cfg.custom_keys.depthwise_conv.decay_mult')
# Row -> its name in older records, or None.
CHANGED: dict[str, str | None] = {
    # Learning rates; the scale's own is 5e-3 on the CPU, at which the two linear decoders hardly
    # leave the empty heatmap.
    'refinepose@lr=5e-4': 'refinepose_lr_5e4',
    'refinepose@lr=2e-3': 'refinepose_lr_2e3',
    'refinepose@lr=1e-2': 'refinepose_lr_1e2',
    'refinepose@lr=2e-2': 'refinepose_lr_2e2',
    'vitpose_classic@lr=5e-4': 'vitpose_classic_lr_5e4',
    'vitpose_classic@lr=2e-3': 'vitpose_classic_lr_2e3',
    'vitpose_classic@lr=1e-2': 'vitpose_classic_lr_1e2',
    'stem_and_shortcut_classic@lr=1e-2': 'stem_and_shortcut_classic_lr_1e2',
    'decoder_bilinear@lr=2e-3': 'decoder_bilinear_lr_2e3',
    'decoder_bilinear_unpool@lr=2e-3': 'decoder_bilinear_unpool_lr_2e3',
    # ViTPose's warm-up: the 200 steps of the cpu scale are too few for some seeds.
    'refinepose@warmup=500': 'refinepose_warmup_500',
    'stem_max_pool@warmup=500': 'stem_max_pool_warmup_500',
    'vitpose_classic@warmup=500': 'vitpose_classic_warmup_500',
    **dict.fromkeys(f'{row}@warmup=500' for row in (
        'refinepose_half', 'refinepose_half_taper', 'refinepose_half_stem',
        'refinepose_half_decoder', 'refinepose_taper_shallow', 'stem_classic_half',
        'stem_classic_half_pooling', 'stem_classic_half_narrow', 'stem_classic_wide_pooling',
        'stem_classic_shallow', 'stem_classic_half_shallow',
        'stem_max_pool_classic', 'early_conv_classic_half')),
    # Beside rows that start from trained weights, with a score for each epoch.
    'refinepose@validate=1': None,
    **dict.fromkeys(f'{row}@lr={lr}' for row in (
        'transplant_fusion', 'transplant_keep', 'vitpose_trained_on') for lr in ('1e-3', '2e-3')),
    # No weight decay on the depthwise kernels of FeatureAggregation.
    'refinepose@depthwise_decay=0.0': 'refinepose_no_depthwise_decay',
}
ROWS = sorted([*MODELS, *CHANGED])
ALIASES = {alias: row for row, alias in CHANGED.items() if alias}


def canonical(name: str) -> str:
    """The row that a name, its own or an older one, stands for."""
    return ALIASES.get(name, name)


def config_file(row: str) -> Path:
    """The file of a row's model."""
    return CONFIGS / f'{row.partition("@")[0]}.py'


def options(row: str) -> dict[str, str]:
    """What a row changes: keys of the config and their values, as in ``--cfg-options``."""
    _, _, change = row.partition('@')
    setting, _, value = change.partition('=')
    return {SETTINGS[setting]: value} if change else {}


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Variables of the environment, which configs read, for a while."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def load(row: str, scale: str) -> Config:
    """The config of a row at a scale."""
    with _environment(STUDY_SCALE=scale):
        config = Config.fromfile(config_file(row))
    config.merge_from_dict({key: ast.literal_eval(value) for key, value in options(row).items()})
    return config
