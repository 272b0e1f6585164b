"""Configs as commands read them: complete, or refused in one line before any work."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

DECODER = 'model.head.decoder'
TEST_DATA = 'test_dataloader.dataset'
TRAIN_DATA = 'train_dataloader.dataset'


def load_config(source: str | Path | Config, *needed: str) -> Config:
    """Read a config, check that it has what is needed, and enter its scope.

    Args:
        source: Path of the config, or the config itself.
        needed: Fields as dotted names, such as ``model.head.decoder``.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is no config, or lacks a field.
    """
    config, name = source, 'the config'
    if not isinstance(source, Config):
        name = str(source)
        if not Path(source).is_file():
            raise FileNotFoundError(f'{source} not found')
        try:
            config = Config.fromfile(source)
        except Exception as error:  # it is Python, which raises what it likes
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f'{source} is not a config: {reason}') from error
    for field in ('model', *needed):
        value = config
        for part in field.split('.'):
            value = value.get(part) if hasattr(value, 'get') else None
        if value is None:
            raise ValueError(f'{name} has no {field}, which is needed here')
    init_default_scope(config.get('default_scope') or 'mmpose')
    return config


def usable_device(name: str) -> torch.device:
    """The device of a name, if this machine has it.

    Raises:
        ValueError: If it has not; says what torch says.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception as error:  # torch raises several kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f'device {name!r} cannot be used here: {reason}') from None
    return device
