"""Which checkpoint an interrupted run goes on from."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .plain import non_finite, require_dense, require_weights

RESUMABLE = ('meta', 'state_dict', 'message_hub')
# What else MMEngine resumes from, where it is there; several optimizers come as a dict.
KINDS: dict[str, tuple[type, ...]] = {'optimizer': (dict, ), 'param_schedulers': (list, dict)}
MAX_COUNT = 2**53  # of epochs or iterations


@dataclass(frozen=True)
class Resumable:
    """A complete checkpoint.

    Attributes:
        path: Its file.
        epoch: Finished epochs.
        iteration: Finished iterations.
        skipped: Newer or unreadable checkpoints beside it, each with the reason.
    """

    path: Path
    epoch: int
    iteration: int
    skipped: tuple[str, ...]


def newest_complete(folder: str | Path, templates: Iterable[str]) -> Resumable | None:
    """The checkpoint of a folder that was saved last, among those that can be read whole.

    The time of saving is the one in the checkpoint: a copy changes that of the file.

    Args:
        folder: Only files of this folder count, whatever ``last_checkpoint`` names.
        templates: File names with one ``{}`` for the number, such as ``epoch_{}.pth``.

    Returns:
        None if the folder has no checkpoint at all and nothing that says that it had.

    Raises:
        FileNotFoundError: If there are checkpoints but none is complete, or if there are none
            but ``last_checkpoint`` names one.
    """
    folder = Path(folder)
    pattern = '|'.join(re.escape(name).replace(r'\{\}', r'\d+') for name in templates)
    paths = sorted(path for path in folder.glob('*') if re.fullmatch(pattern, path.name))
    last = folder / 'last_checkpoint'
    named = last.read_text(errors='replace').strip() if last.is_file() else ''
    if not paths and named:
        raise FileNotFoundError(
            f'no checkpoint in {folder}, whose last_checkpoint names {named}; to go on from that '
            'one, use --resume with its path; to start anew, delete last_checkpoint')
    readable, skipped = [], []
    for path in paths:
        try:
            meta = read(path)['meta']
            readable.append((str(meta.get('time', '')), meta['iter'], meta['epoch'], path))
        except ValueError as error:
            skipped.append(str(error))
    for _, iteration, epoch, path in sorted(readable, reverse=True):
        try:
            require_intact(path)
        except ValueError as error:
            skipped.append(str(error))
        else:
            return Resumable(path, epoch, iteration, tuple(skipped))
    if skipped:
        raise FileNotFoundError(
            f'no complete checkpoint in {folder}: {"; ".join(skipped)}; bring one back, or start '
            'anew with another --work-dir')
    return None


def read(path: Path) -> dict:
    """What a checkpoint says of itself; the values of tensors stay on disk.

    Raises:
        ValueError: If the file cannot be read or is not one that a run can resume from.
    """
    if not zipfile.is_zipfile(path):  # the list of contents is at the end
        raise ValueError(f'{path.name} is incomplete')
    checkpoint = load(path)
    require_dense(checkpoint, path.name)  # nothing asks for more memory than the file has
    require_resumable(checkpoint, path.name)
    return checkpoint


def load(path: Path) -> Any:
    """The content of a checkpoint; nothing in it is executed.

    Raises:
        ValueError: If it cannot be read; torch's own error advises to execute it.
    """
    try:
        return torch.load(path, map_location='cpu', weights_only=True,
                          mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a broken file raises nearly anything
        raise ValueError(f'{path.name} cannot be read ({_reason(error)})') from error


def require_resumable(checkpoint: object, name: str) -> None:
    """Check that a checkpoint has what MMEngine resumes from.

    Raises:
        ValueError: If it has not; weights alone have no epoch to go on from.
    """
    parts = checkpoint if isinstance(checkpoint, dict) else {}
    missing = [key for key in RESUMABLE if not isinstance(parts.get(key), dict)]
    if missing:
        raise ValueError(f'{name} has no {", ".join(missing)} to resume from')
    for key in ('epoch', 'iter'):
        value = parts['meta'].get(key)
        if type(value) is not int or not 0 <= value < MAX_COUNT:
            raise ValueError(f'{name} has no number for meta.{key} to resume from')
    require_weights(parts['state_dict'], name)
    wrong = [key for key, kind in KINDS.items()
             if parts.get(key) is not None and not isinstance(parts[key], kind)]
    wrong += [f'message_hub.{key}' for key in ('log_scalars', 'runtime_info', 'resumed_keys')
              if not isinstance(parts['message_hub'].get(key, {}), dict)]
    if not isinstance(parts['meta'].get('seed'), (int, type(None))):
        wrong.append('meta.seed')
    if wrong:
        raise ValueError(f'{name} has something else in the place of {", ".join(wrong)}')


def require_intact(path: Path) -> None:
    """Check every byte of a checkpoint by its checksums, and that its weights are finite.

    Raises:
        ValueError: If it is damaged.
    """
    broken = non_finite(read(path)['state_dict'])
    with zipfile.ZipFile(path) as content:
        damaged = content.testzip()
    if damaged:
        raise ValueError(f'{path.name} is damaged (checksum of {damaged})')
    if broken:
        raise ValueError(f'{path.name} has {len(broken)} tensors that are not finite '
                         f'({broken[0]})')


def _reason(error: Exception) -> str:
    """The line that matters in one of torch's errors, which advise weights_only=False first."""
    refused = re.search(r'GLOBAL ([\w.]+)', str(error))
    if refused:
        return f'it wants to load {refused[1]}, which is refused'
    text = str(error).partition('WeightsUnpickler error:')[2] or str(error)
    return f'{(text.strip() or type(error).__name__).splitlines()[0]:.120}'
