"""Reading and writing checkpoint files: safe, atomic, local or by URL."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from torch import Tensor

WRAPPERS = ('state_dict', 'model')  # of checkpoints that hold more than the weights


def read_checkpoint(source: str) -> dict[str, Tensor]:
    """Read the tensors of a .pth or .safetensors file, local or by URL.

    Pickles are read with ``weights_only=True``: nothing in them is executed.

    Raises:
        OSError: If the file does not exist or cannot be downloaded.
        ValueError: If it is broken, or a pickle of more than weights.
    """
    path = _local_file(source)
    try:
        if path.suffix == '.safetensors':
            from safetensors.torch import load_file
            content = load_file(path)
        else:
            content = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        asked_for = re.search(r'GLOBAL ([\w.]+)', str(error))
        reason = (f'it wants to load {asked_for.group(1)}, which is refused' if asked_for else
                  'it is no file of weights')
        raise ValueError(f'{path} was not loaded: {reason}') from None
    except Exception as error:  # torch and safetensors raise many kinds for broken files
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f'{path} is not a complete checkpoint: {first_line}') from None
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    if not isinstance(content, dict) or not all(
            isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f'{path} holds no table of tensors, nor one under '
                         f'{" or ".join(map(repr, WRAPPERS))}')
    return dict(content)


def _local_file(source: str) -> Path:
    """The path of a file, downloaded once if it is a URL."""
    if urlparse(source).scheme not in ('http', 'https'):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f'checkpoint {path} not found')
        return path
    path = Path(torch.hub.get_dir()) / 'checkpoints' / Path(urlparse(source).path).name
    failure = None
    if is_main_process() and not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        print_log(f'downloading {source} to {path}', logger='current')
        try:
            torch.hub.download_url_to_file(source, str(path))
        except (URLError, OSError) as error:
            failure = error
    barrier()  # the other processes wait for the file
    if not path.is_file():
        raise OSError(f'cannot download {source}: {failure or "the main process failed"}. '
                      'Put the file elsewhere and name it with '
                      '--cfg-options model.backbone.init_cfg.checkpoint=PATH, or train from '
                      'scratch with --cfg-options model.backbone.init_cfg=None')
    return path
