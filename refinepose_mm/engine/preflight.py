"""What a run would trip over later is said before it starts: all of it, in one line.

MMEngine's first hook, ``before_run``, comes after the data sets are built, and some mistakes show
at the first validation only. Runs with a :class:`PreflightHook` read the config and the
annotations once before anything is built.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import torch
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from .annotations import read_annotations
from .data_checks import (
    TOPDOWN,
    dataset_problems,
    joint_problems,
    metric_problems,
    metrics_of,
    parts,
    pipeline_problems,
)
from .fitting import compare_weights
from .plain import non_finite, require_weights
from .resume import load, read

MODES = ('train', 'val', 'test')
# What MMEngine, MMPose's scripts and this package read of a config, beside Runner's arguments.
OTHER_KEYS = {'custom_imports', 'compile', 'sync_bn', 'model_wrapper_cfg', 'preprocess_cfg',
              'find_unused_parameters', 'activation_checkpointing', 'efficient_conv_bn_eval',
              'data_mode', 'dataset_type', 'backend_args', 'vis_backends', 'codec'}
FLIP_MODES = ('heatmap', 'udp_combined', 'offset')  # of MMPose's flip_heatmaps
SIMILAR = .87  # of difflib: 'modl' is near to 'model', 'models2' is not


@HOOKS.register_module()
class PreflightHook(Hook):
    """Refuses a run whose config, data or checkpoint would fail later, or not be what was meant.

    In a test all weights must come from the checkpoint: MMEngine only logs what does not fit.

    Raises:
        ValueError: Before the run, with everything that :func:`problems_of` finds; when the
            checkpoint is loaded, if it does not fit the model in a test or a resumed run, or
            does not fit it anywhere in training.
    """

    mode: str | None = None  # of the run, once it has begun

    def check(self, runner: Runner, mode: str) -> None:
        """Look before the run builds its data sets; one process looks for all."""
        self.mode = mode
        found: list[list[str]] = [[]]
        if is_main_process():
            modes = ['train', 'val'] if mode == 'train' else [mode]
            if mode == 'train' and runner._val_loop is None:
                modes.remove('val')
            found[0] = problems_of(runner.cfg, modes)
        broadcast_object_list(found)
        problems, = found
        if problems:
            raise ValueError(in_one_line(problems))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the checkpoint with the model by names and shapes, and look for NaN."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        weights = checkpoint.get('state_dict', checkpoint) if isinstance(
            checkpoint, dict) else None
        require_weights(weights, str(runner._load_from))
        broken = non_finite(weights)
        if broken:
            raise ValueError(f'{runner._load_from} has {len(broken)} tensors that are not finite '
                             f'({broken[0]})')
        fitting, problems = compare_weights(model, weights)
        if not problems:
            return
        message = f'{runner._load_from} is not of this config: {problems}'
        if self.mode in ('val', 'test') or runner._resume or not fitting:
            raise ValueError(message)
        runner.logger.warning(message)


def _looking_first(method: Callable[[Runner], object], mode: str) -> Callable[[Runner], object]:
    """A method of Runner that asks a run's own PreflightHook before it builds anything."""

    @functools.wraps(method)
    def look_and_run(runner: Runner) -> object:
        for hook in runner.hooks:
            if isinstance(hook, PreflightHook):
                hook.check(runner, mode)
        return method(runner)

    return look_and_run


for _mode in MODES:
    setattr(Runner, _mode, _looking_first(getattr(Runner, _mode), _mode))


def in_one_line(problems: list[str]) -> str:
    """Several problems as the one line that people see last."""
    if len(problems) == 1:
        return problems[0]
    numbered = '; '.join(f'({number}) {line}' for number, line in enumerate(problems, 1))
    return f'{len(problems)} problems: {numbered}'


def problems_of(config: Config, modes: tuple[str, ...] | list[str] = MODES) -> list[str]:
    """Everything in a config, and in the files that it names, that a run would trip over.

    Reads each annotation file once, and looks for the first and the last image only. Files on
    other storage (such as s3://) are not looked at.

    Args:
        config: Of the run.
        modes: Which parts of it will be used: 'train', 'val', 'test'.

    Returns:
        One line for each problem; empty if none was found.
    """
    read_once = functools.lru_cache(maxsize=None)(read_annotations)
    problems = key_problems(config) + device_problems(config, modes)
    if not isinstance(config.get('model'), dict):
        return [*problems, f'model must be a dict, got {type(config.get("model")).__name__}']
    problems += checkpoint_problems(config, modes) + model_problems(config, modes)
    for mode in modes:
        name = f'{mode}_dataloader'
        loader = config.get(name)
        if not loader:
            continue
        whole = loader.get('dataset')
        problems += loader_problems(loader, name)
        if not isinstance(whole, dict):
            problems.append(f'{name}.dataset must be a dict, got {type(whole).__name__}')
            continue
        problems += joint_problems(config, whole, name)
        problems += pipeline_problems(whole, f'{name}.dataset')
        metrics = metrics_of(config, mode)
        datasets = list(parts(whole, f'{name}.dataset'))
        for dataset, where in datasets:
            problems += dataset_problems(dataset, where, read_once, metrics)
        problems += metric_problems(
            metrics, f'{mode}_evaluator', [dataset for dataset, _ in datasets], read_once)
    return list(dict.fromkeys(problems))  # val and test often share a file


def key_problems(config: Config) -> list[str]:
    """Top-level keys that nobody reads and that look like a known one, as in `modl=...`."""
    known = {*inspect.signature(Runner.__init__).parameters, *OTHER_KEYS}
    problems = []
    for key in config:
        near = difflib.get_close_matches(key, known, 1, SIMILAR)
        # A name that continues a known one, such as train_dataloader_small, is a variable.
        if key not in known and near and not key.startswith(near[0]):
            problems.append(f'{key} is read by nobody; {near[0]}?')
    return problems


def device_problems(config: Config, modes: tuple[str, ...] | list[str]) -> list[str]:
    """Devices that are asked for and not there."""
    if torch.cuda.is_available():
        return []
    problems = []
    if 'train' in modes and (config.get('optim_wrapper') or {}).get('type') == 'AmpOptimWrapper':
        problems.append('mixed precision (--amp, AmpOptimWrapper) needs a GPU, none is found')
    backend = ((config.get('env_cfg') or {}).get('dist_cfg') or {}).get('backend', 'nccl')
    if config.get('launcher', 'none') != 'none' and backend == 'nccl':
        problems.append(f'launcher {config.launcher} with backend nccl needs GPUs, none is found')
    return problems


def checkpoint_problems(config: Config, modes: tuple[str, ...] | list[str]) -> list[str]:
    """Checkpoints that do not exist, cannot be read, or that no run can go on from.

    URLs are not looked at. A test needs no initialisation.
    """
    named = {'load_from': config.get('load_from')}
    if 'train' in modes:
        named.update(_initial(config.get('model'), 'model'))
    local = {where: path for where, path in named.items() if path and '://' not in path}
    problems = [f'{where}: checkpoint {path} not found' for where, path in local.items()
                if not os.path.exists(path)]
    if os.path.isfile(local.get('load_from', '')):
        name, look = ('resume', read) if config.get('resume') else ('load_from', load)
        try:
            look(Path(local['load_from']))
        except ValueError as error:
            problems.append(f'{name}: {error}')
    return problems


def model_problems(config: Config, modes: tuple[str, ...] | list[str]) -> list[str]:
    """What a pose estimator lacks that training or decoding will need."""
    if config.model.get('type') not in TOPDOWN:
        return []
    problems = []
    if not config.model.get('data_preprocessor') and not config.get('data_preprocessor'):
        problems.append('model has no data_preprocessor, so images would stay bytes')
    if {'val', 'test'} & set(modes):
        decoder = (config.model.get('head') or {}).get('decoder')
        if not decoder:
            problems.append('model.head has no decoder, so its heatmaps cannot be evaluated')
        problems += _flip_problems(config.model.get('test_cfg') or {}, decoder or {})
    return problems


def _flip_problems(test_cfg: dict, decoder: dict) -> list[str]:
    """Flip tests of another kind of heatmaps than the codec's: MMPose reshapes what it gets."""
    if not test_cfg.get('flip_test'):
        return []
    mode = test_cfg.get('flip_mode', 'heatmap')
    if mode not in FLIP_MODES:
        return [f'model.test_cfg.flip_mode must be one of {", ".join(FLIP_MODES)}, got {mode!r}']
    is_combined = decoder.get('heatmap_type') == 'combined'
    if (mode == 'udp_combined') != is_combined:
        return [f"model.test_cfg.flip_mode is {mode!r}, but the heatmaps of model.head.decoder are "
                f"{'combined with offsets' if is_combined else 'plain'}; set it to "
                f"{'udp_combined' if is_combined else 'heatmap'!r}"]
    return []


def _initial(value: object, where: str) -> Iterator[tuple[str, str]]:
    """Every init_cfg.checkpoint in a model, with its dotted name."""
    if isinstance(value, (list, tuple)):
        value = {str(index): item for index, item in enumerate(value)}
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key == 'checkpoint' and 'init_cfg' in where and isinstance(item, str):
            yield f'{where}.{key}', item
        yield from _initial(item, f'{where}.{key}')


def loader_problems(loader: dict, where: str) -> list[str]:
    """What torch's DataLoader refuses without workers."""
    if loader.get('num_workers', 0) > 0:
        return []
    return [f'{where}.{key}={loader[key]} needs num_workers of at least 1, got 0; set it to {off}'
            for key, off in (('persistent_workers', False), ('prefetch_factor', None))
            if loader.get(key)]
