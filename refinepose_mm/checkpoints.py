"""Reading and writing checkpoint files: safe, complete, local or by URL."""

from __future__ import annotations

import json
import pickle
import re
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .downloads import local_file
from .engine.plain import is_dense
from .files import replacing
from .hub import SCHEME, hub_path

# Of checkpoints that hold more than the weights; the last two are what DINO and I-JEPA evaluate.
WRAPPERS = ('state_dict', 'model', 'teacher', 'target_encoder')
# What a folder of Hugging Face holds, the preferred ones first; an index names several files.
IN_FOLDER = ('model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin',
             'pytorch_model.bin.index.json')
SAFE_TORCH = (2, 6)  # older weights-only readers execute code (CVE-2025-32434)


class Checkpoint(NamedTuple):
    """What a checkpoint holds.

    Attributes:
        tensors: The weights by name, on the CPU.
        meta: What stands beside them: ``meta`` of a .pth file, the metadata of a .safetensors
            file, and ``config.json`` of a folder under 'config'. Values are as untrusted as the
            file: compare them, never execute them.
    """

    tensors: dict[str, Tensor]
    meta: dict[str, Any]


def read_checkpoint(source: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint: see :func:`open_checkpoint`."""
    return open_checkpoint(source).tensors


def open_checkpoint(source: str | Path) -> Checkpoint:
    """Read a .pth or .safetensors file, an index of several, or a folder of Hugging Face.

    Pickles are read with ``weights_only=True``: nothing in them is executed. PyTorch 2.10 mended
    a memory error of that reader (CVE-2026-24747): with an older one, read pickles of people
    that you trust, or .safetensors files.

    Args:
        source: A path, or a URL of one file as :func:`~refinepose_mm.downloads.local_file` takes
            it, or ``hf://owner/name`` as :func:`~refinepose_mm.hub.hub_path` does.

    Raises:
        OSError: If the file does not exist or cannot be downloaded.
        ValueError: If it is broken, or a pickle of more than weights.
        ImportError: For ``hf://``, if huggingface_hub is not installed.
    """
    on_hub = str(source).startswith(SCHEME)
    path = hub_path(str(source), IN_FOLDER) if on_hub else local_file(source)
    try:
        return _open(path)
    except ValueError as error:
        if on_hub or path == Path(source):
            raise
        raise ValueError(f'{error} (from {source}; delete the file to download it anew)') from None


def _open(path: Path) -> Checkpoint:
    meta = {}
    if path.is_dir():
        config = path / 'config.json'
        if config.is_file():
            meta['config'] = _read_json(config)
        found = [path / name for name in IN_FOLDER if (path / name).is_file()]
        if not found:
            raise FileNotFoundError(f'folder {path} holds no checkpoint; expected one of '
                                    f'{", ".join(IN_FOLDER)}')
        path = found[0]
    if path.suffix == '.json':
        return Checkpoint(_read_shards(path), meta)
    content = _read_safetensors(path) if path.suffix == '.safetensors' else _read_pickle(path)
    return content._replace(meta={**content.meta, **meta})


def write_checkpoint(output: str | Path, tensors: dict[str, Tensor], meta: dict[str, Any],
                     inputs: Iterable[str | Path] = ()) -> None:
    """Write a checkpoint, complete or not at all; .safetensors if the name ends so, else .pth.

    Args:
        output: The file.
        tensors: The weights by name.
        meta: Numbers, words and tables to keep beside them; text in .safetensors.
        inputs: Files that the output must not be.

    Raises:
        ValueError: If the output is one of the inputs.
        OSError: If the file cannot be written.
    """
    with replacing(output, inputs) as path:
        try:
            if path.suffix == '.safetensors':
                tensors = {name: value.contiguous() for name, value in tensors.items()}
                words = {name: str(value) for name, value in meta.items()}
                path.write_bytes(save(tensors, words))  # save_file may hide it from others
            else:
                torch.save(dict(state_dict=tensors, meta=meta), path)
        except (OSError, RuntimeError) as error:  # torch has words of its own for a full disk
            raise OSError(f'cannot write {output}, is the disk full? '
                          f'({_first_line(error)})') from None


def require_finite(tensors: dict[str, Tensor], source: str | Path) -> None:
    """Check that no tensor holds NaN or infinite numbers.

    Raises:
        ValueError: If some do; names the first of them.
    """
    broken = [name for name, value in tensors.items()
              if value.is_floating_point() and not torch.isfinite(value).all()]
    if broken:
        raise ValueError(f'{source} holds NaN or infinite numbers in {len(broken)} of '
                         f'{len(tensors)} tensors: {", ".join(broken[:3])}'
                         + (', ...' if broken[3:] else ''))


def _read_pickle(path: Path) -> Checkpoint:
    if torch.__version__ < SAFE_TORCH:
        raise ValueError(f'{path} was not loaded: PyTorch {torch.__version__} cannot read .pth '
                         'files safely; install 2.6 or later, or convert to .safetensors')
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        asked_for = re.search(r'GLOBAL ([\w.]+)', str(error))
        reason = (f'it wants to load {asked_for.group(1)}, which is refused' if asked_for else
                  'it is no file of weights')
        raise ValueError(f'{path} was not loaded: {reason}') from None
    except Exception as error:  # torch raises many kinds for broken files
        raise ValueError(
            f'{path} is not a complete checkpoint: {_first_line(error)}') from None
    meta = content.get('meta') if isinstance(content, dict) else None
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    if not isinstance(content, dict) or not all(
            isinstance(name, str) and is_dense(value) for name, value in content.items()):
        raise ValueError(f'{path} holds no table of tensors, nor one under '
                         f'{" or ".join(map(repr, WRAPPERS))}')
    tensors = OrderedDict(content)
    tensors._metadata = _versions(content)  # type: ignore[attr-defined]
    return Checkpoint(tensors, dict(meta) if isinstance(meta, dict) else {})


def _versions(content: dict) -> dict[str, dict[str, int]]:
    """The versions of modules that PyTorch keeps with their weights.

    Modules of MMPose take weights without a version for those of MMPose 0.x and rename them; DEKR
    also changes their signs.
    """
    kept = getattr(content, '_metadata', None)
    return {name: {'version': entry['version']}
            for name, entry in (kept.items() if isinstance(kept, dict) else ())
            if isinstance(name, str) and isinstance(entry, dict)
            and isinstance(entry.get('version'), int)}


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework='pt') as file:
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()},
                              file.metadata() or {})
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f'{path} is not a complete checkpoint: {_first_line(error)}') from None


def _read_shards(index: Path) -> dict[str, Tensor]:
    """Read the tensors of the files that an index names."""
    weight_map = _read_json(index).get('weight_map')
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f'{index} names no files: it has no table weight_map')
    tensors = {}
    for name in sorted(set(map(str, weight_map.values()))):
        if not re.fullmatch(r'[\w.-]+\.(safetensors|bin)', name):  # in this folder only
            raise ValueError(f'{index} names {name!r}; expected a .safetensors or .bin file '
                             'of its folder')
        shard = local_file(index.parent / name)
        read = _read_safetensors if shard.suffix == '.safetensors' else _read_pickle
        tensors.update(read(shard).tensors)
    missing = [key for key in weight_map if key not in tensors]
    if missing:
        raise ValueError(f'{index} names {len(missing)} tensors that its files lack, such as '
                         f'{missing[0]}')
    return tensors


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is no JSON: {_first_line(error)}') from None
    if not isinstance(content, dict):
        raise ValueError(f'{path} holds no JSON object')
    return content


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
