"""Configs as commands read them: complete, or refused in one line before any work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS

from ..engine.data_checks import num_keypoints

DECODER = 'model.head.decoder'
TEST_DATA = 'test_dataloader.dataset'
TRAIN_DATA = 'train_dataloader.dataset'
# Lines with which OpenVINO says where in its code it fails; why, says the next one.
OF_OPENVINO = ('Exception from ', "Check '")
LONGEST = 200  # characters of a reason; torch lists all devices that it knows


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
        require_file(source)
        try:
            config = Config.fromfile(source)
        except (Exception, SystemExit) as error:  # it is Python, which raises what it likes
            raise ValueError(f'{source} is not a config: {reason(error)}') from error
    for field in ('model.type', *needed):
        value = config
        for part in field.split('.'):
            value = value.get(part) if hasattr(value, 'get') else None
        if value is None:
            raise ValueError(f'{name} has no {field}, which is needed here')
    init_default_scope(config.get('default_scope') or 'mmpose')
    return config


def metainfo_of(dataset: dict) -> dict:
    """Names, mirror images, links and sigmas of the keypoints, by the config of a data set.

    The config's own ``metainfo`` comes first, then that of its type, such as COCO's.

    Raises:
        ValueError: If there is none, or it is broken.
    """
    _, problem = num_keypoints(dataset)
    if problem:
        raise ValueError(f'{TEST_DATA}: {problem}')
    return parse_pose_metainfo(
        dataset.get('metainfo') or DATASETS.get(dataset['type']).METAINFO)


def usable_device(name: str) -> torch.device:
    """The device of a name, if this machine has it.

    Raises:
        ValueError: If it has not; says what torch says.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except Exception as error:  # torch raises several kinds
        raise ValueError(f'device {name!r} cannot be used here: {reason(error)}') from None
    return device


def require_file(path: str | Path) -> None:
    """Check that a file is there.

    Raises:
        FileNotFoundError: If nothing is.
        IsADirectoryError: If it is a folder.
    """
    if Path(path).is_file():
        return
    if str(path) and Path(path).is_dir():
        raise IsADirectoryError(f'{path} is a folder, expected a file')
    raise FileNotFoundError(f'{str(path) or "a file without a name"} not found')


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn what MMEngine and MMPose raise at a config's names and arguments into one line.

    Args:
        what: Cannot be done then, such as 'model.py cannot be built'.

    Raises:
        ValueError: For errors whose messages are not written for people.
    """
    try:
        yield
    except (OSError, ValueError, ImportError):
        raise
    except Exception as error:  # registries and constructors raise all kinds
        raise ValueError(f'{what}: {reason(error)}') from error


def reason(error: BaseException) -> str:
    """The line of an error's message that says why, or its kind where there is none."""
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    lines = message.strip().splitlines() or [type(error).__name__]
    line = next((line for line in lines if not line.startswith(OF_OPENVINO)), lines[0])
    return line if len(line) <= LONGEST else f'{line[:LONGEST]}...'
