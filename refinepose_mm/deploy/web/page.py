"""The folder of a page: written complete or not at all, with all that the page must know.

``page.json`` has the metadata of the ONNX file (:mod:`~refinepose_mm.deploy.metadata`), and under
``page`` what browsers need besides:

==================  =============================================================================
field               meaning
==================  =============================================================================
name                of the model, for people
model, model_bytes  the ONNX file and its size
runtime             name and version of the package that runs it
keypoint_colors     (red, green, blue) of each keypoint, 0 to 255, by the data set
link_colors         the same for each link of the skeleton
blur_kernel         weights of the blur before decoding
flip_test           whether the config averages with the mirror image
shift_heatmap       whether mirrored heatmaps are shifted by a pixel then
==================  =============================================================================
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from ...codecs import gaussian_kernel
from ...files import named_if_full, require_folder
from ..formats import load_exported
from .runtime import FOLDER

STATIC = Path(__file__).with_name('static')
MODEL, ABOUT = 'model.onnx', 'page.json'
CODECS = ('BatchedUDPHeatmap', 'UDPHeatmap')  # what decode.js decodes


@contextmanager
def new_folder(output: str | Path, inputs: Iterable[str | Path] = ()) -> Iterator[Path]:
    """A folder that appears complete or not at all; that of an earlier page is replaced.

    Args:
        output: The folder. The block writes to the yielded path beside it.
        inputs: Files and folders that are read; none may be in the output.

    Raises:
        ValueError: If the output is a file, or holds an input or what no export wrote.
        OSError: If it cannot be written.
    """
    output = Path(os.path.realpath(output))
    for source in inputs:
        if output.exists() and output in (path := Path(os.path.realpath(source)), *path.parents):
            raise ValueError(f'output {output} holds the input {source}; name another folder')
    _refuse_others(output)
    require_folder(output.with_name(f'{output.name}.new'))
    with named_if_full(output), tempfile.TemporaryDirectory(
            prefix=f'.{output.name}.', dir=output.parent) as folder:
        new = Path(folder) / 'new'
        new.mkdir()
        yield new
        _refuse_others(output)  # the block took its time
        if output.exists():
            os.replace(output, Path(folder) / 'earlier')
        os.replace(new, output)


def _refuse_others(output: Path) -> None:
    """Raise if an output holds what no export wrote."""
    if not output.exists():
        return
    if not output.is_dir():
        raise ValueError(f'output {output} is a file, expected a folder')
    ours = {path.name for path in STATIC.iterdir()} | {MODEL, ABOUT, FOLDER}
    others = sorted({path.name for path in output.iterdir()} - ours)
    if others:
        raise ValueError(f'output {output} holds {others[0]}, which no export wrote; name a new '
                         'folder')


def require_decodable(model: nn.Module) -> None:
    """Check that the page can decode and draw a model.

    Args:
        model: As ``load_model`` gives it.

    Raises:
        ValueError: If its codec is another one, or its joints have no names.
    """
    codec = model.head.decoder
    kind = getattr(codec, 'heatmap_type', 'gaussian')
    if type(codec).__name__ not in CODECS or kind != 'gaussian':
        raise ValueError(f'the page decodes Gaussian heatmaps of {" and ".join(CODECS)}, not '
                         f'{type(codec).__name__} with {kind} heatmaps')
    names = len((getattr(model, 'dataset_meta', None) or {}).get('keypoint_id2name', ()))
    if names != model.head.out_channels:
        raise ValueError(f'the page needs names of all {model.head.out_channels} joints, the test '
                         f'data of the config has {names}')


def write_page(folder: Path, model: nn.Module, name: str, runtime: str) -> None:
    """Write the page beside the ONNX file.

    Args:
        folder: Where ``model.onnx`` is.
        model: That was exported, as ``load_model`` gives it.
        name: Of the model, for people.
        runtime: Name and version of what runs it.
    """
    for path in STATIC.iterdir():
        shutil.copyfile(path, folder / path.name)
    joints, test_cfg = model.dataset_meta, model.test_cfg or {}
    page = dict(
        name=name, model=MODEL, model_bytes=(folder / MODEL).stat().st_size, runtime=runtime,
        keypoint_colors=joints['keypoint_colors'].tolist(),
        link_colors=joints['skeleton_link_colors'].tolist(),
        blur_kernel=gaussian_kernel(model.head.decoder.blur_kernel_size).tolist(),
        flip_test=bool(test_cfg.get('flip_test', False)),
        shift_heatmap=bool(test_cfg.get('shift_heatmap', False)))
    metadata = load_exported(folder / MODEL).metadata
    (folder / ABOUT).write_text(json.dumps(dict(metadata, page=page), indent=1), encoding='utf-8')
