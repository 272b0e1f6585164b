"""`refinepose export`: a trained model as an ONNX, OpenVINO or torch.export file, or as a page.

The file runs without this package: image batch in, heatmaps or keypoints out. Unpooling compares
and places instead of scattering, so ONNX needs its standard operators only.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from ..bundled import NAMES, config_and_weights
from ..files import named_if_full, refuse_inputs, replacing, require_folder
from .certificate import (
    Crops,
    by_eager,
    by_file,
    crops_of,
    default_steps,
    distances,
    engine_of,
    in_words,
    toy_crops,
)
from .config import DECODER, TEST_DATA, load_config, require_file
from .devices import CPU
from .fold import fold
from .formats import (
    INPUT,
    OPSET,
    OPSETS,
    TARGETS,
    Exported,
    NotFinite,
    Variant,
    require,
    target_files,
    target_of,
)
from .metadata import describe, to_text
from .network import InferenceNetwork, load_model
from .rtmlib import RtmlibNetwork, redescribe
from .web import MODEL, copy_runtime, new_folder, require_decodable, write_page

WEB = 'web'  # no format of a file, but a choice of --format

PRECISIONS = ('f32', 'f16')


def export(model: nn.Module, path: str | Path, decode: bool = False,
           crops: Crops | None = None, interface: str | None = None, precision: str = 'f32',
           batch: int | None = None, opset: int | None = None) -> dict[str, Any]:
    """Write a model to a file of the format that the file's ending says, and compare them.

    The file carries :mod:`~refinepose_mm.deploy.metadata`, the certificate among them.

    Args:
        model: A trained ``TopdownPoseEstimator`` on the CPU.
        path: Where to write, ending in .onnx, .xml (OpenVINO) or .pt2 (torch.export).
        decode: Keypoints and scores come out instead of heatmaps.
        crops: Persons to compare by. Default: toy people.
        interface: 'rtmlib' for an ONNX file that rtmlib's ``ViTPose`` runs as it is.
        precision: 'f16' for a network that computes in float16; inputs, outputs, normalisation
            and decoding stay in float32.
        batch: Number of images that the file takes at a time. Default: any.
        opset: Of ONNX, one of :data:`~refinepose_mm.deploy.formats.OPSETS`. Default: 18.

    Returns:
        The certificate: the ``source`` and number of ``crops``, the ``engine``, and for each of
        its ``precisions`` the ``median`` and the ``largest`` distance between keypoints of the
        file and of the model as it was trained, in pixels of the crop, and the largest difference
        of a ``score``.

    Raises:
        ValueError: For an unknown ending, interface, precision, batch or opset, a codec that
            cannot be exported, or a model whose heatmaps are not finite.
        OSError: If the file cannot be written.
        ImportError: If a package is missing; the message has the command that installs it.
    """
    path, target = Path(path), target_of(path)
    variant = _variant(path, precision, batch, opset)
    codec = model.head.decoder
    require_folder(path)
    require(target.packages)
    network: nn.Module = InferenceNetwork(fold(model), decode, precision == 'f16').eval()
    metadata = describe(model, decode)
    if precision != 'f32':
        metadata['precision'] = precision
    if batch is not None:
        metadata['input']['batch'] = batch
    if interface is not None:
        if (interface, path.suffix) != ('rtmlib', '.onnx'):
            raise ValueError(f'the interface of {path.suffix} files is ours, that of .onnx files '
                             f"ours or 'rtmlib'; got {interface!r}")
        network, metadata = RtmlibNetwork(network, codec), redescribe(metadata)
    crops = toy_crops(default_steps(codec)) if crops is None else crops
    example = crops.images[:1].expand(batch or 2, -1, -1, -1).contiguous()
    try:
        expected = by_eager(model, crops.images)
        if interface == 'rtmlib':  # the file's crop has w, not w - 1 units of length
            size = np.array(codec.input_size)
            expected = expected._replace(keypoints=expected.keypoints * (size - 1) / size)
        with torch.no_grad():
            converted = target.convert(network, example, variant)
        found = {}
        with named_if_full(path), \
                TemporaryDirectory(prefix=f'.{path.name}.', dir=path.parent) as folder:
            trial = Path(folder) / path.name
            target.save(converted, trial, to_text(metadata))
            for computed in target.precisions():
                file = Exported(trial, target.load(trial, computed, CPU))
                found[computed] = distances(by_file(file, codec, crops.images), expected)
                del file  # OpenVINO maps it
    except NotFinite as error:
        raise ValueError(f'{path.name} was not written: {error}') from None
    certificate = dict(source=crops.source, crops=len(crops.images),
                       engine=engine_of(target.running), precisions=found)
    with replacing(path) as temporary:
        target.save(converted, temporary, to_text(dict(metadata, certificate=certificate)))
    return certificate


def export_page(model: nn.Module, folder: str | Path, name: str = 'model',
                crops: Crops | None = None, package: str | Path | None = None,
                inputs: Iterable[str | Path] = ()) -> dict[str, Any]:
    """Write a model as a folder with a page that runs it in the browser, see :mod:`.web`.

    Args:
        model: A trained ``TopdownPoseEstimator`` on the CPU, as ``load_model`` gives it.
        folder: Where to write: a new folder, or that of an earlier page.
        name: Of the model, shown in the page.
        crops: Persons to compare by. Default: toy people.
        package: The npm package onnxruntime-web as a folder or ``.tgz`` file. Default: npm
            fetches it.
        inputs: Files that the folder must not hold, such as the checkpoint.

    Returns:
        The certificate of the ONNX file, see :func:`export`.

    Raises:
        ValueError: If the page cannot decode the model, its heatmaps are not finite, or the folder
            holds an input or what no export wrote.
        OSError: If the folder cannot be written, or the package is not there.
        ImportError: If a package or npm is missing.
    """
    require_decodable(model)
    inputs = [*inputs, *([] if package is None else [package])]
    with new_folder(folder, inputs) as new:
        runtime = copy_runtime(new, package)
        certificate = export(model, new / MODEL, crops=crops)
        write_page(new, model, name, runtime)
    return certificate


def _variant(path: Path, precision: str, batch: int | None, opset: int | None) -> Variant:
    if precision not in PRECISIONS:
        raise ValueError(f'precision must be one of {", ".join(PRECISIONS)}, got {precision!r}')
    if batch is not None and batch < 1:
        raise ValueError(f'batch must be at least 1, got {batch}')
    if opset is None:
        return Variant(batch)
    if path.suffix != '.onnx':
        raise ValueError(f'opset is for ONNX files (.onnx), got {path.name}')
    if opset not in OPSETS:
        raise ValueError(f'opset must be from {OPSETS[0]} to {OPSETS[-1]}, got {opset}')
    return Variant(batch, opset)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose export`."""
    parser.add_argument('config', help='config of the model, or the name of a bundled one: '
                        f'{", ".join(NAMES)}')
    parser.add_argument('checkpoint', nargs='?',
                        help='its trained weights; a bundled model has some')
    parser.add_argument('--format', choices=[*TARGETS, WEB], default='onnx',
                        help='web: a folder with a page that runs the model in the browser')
    parser.add_argument('--decode', action='store_true',
                        help='keypoints and scores come out instead of heatmaps')
    parser.add_argument('--precision', choices=PRECISIONS, default='f32',
                        help='f16: the network computes in float16, in half of the space')
    parser.add_argument('--batch', type=int,
                        help='number of images that the file takes at a time; default: any')
    parser.add_argument('--opset', type=int, help='of ONNX, from '
                        f'{OPSETS[0]} to {OPSETS[-1]}; default: {OPSET}')
    parser.add_argument('--interface', choices=('rtmlib', ),
                        help="rtmlib: an ONNX file that rtmlib's ViTPose runs as it is")
    parser.add_argument('--photos', help='compare with PyTorch on these photos, each a person; '
                        'default: persons of the test data, or toy people')
    parser.add_argument('--onnxruntime-web', metavar='PACKAGE', help='for web: that npm package as '
                        'a folder or .tgz file; default: npm fetches it')
    parser.add_argument('--output', help='default: the checkpoint\'s name with another ending')


def run(args: argparse.Namespace) -> int:
    """Export, and say how far the file is from the model."""
    source, checkpoint = config_and_weights(args.config, args.checkpoint)
    config = load_config(source, DECODER, f'{TEST_DATA}.pipeline')
    require_file(checkpoint)
    if args.format == WEB:
        return _run_page(args, config, source, checkpoint)
    if args.onnxruntime_web is not None:
        raise ValueError(f'--onnxruntime-web is for --format {WEB}, got --format {args.format}')
    require(TARGETS[args.format].packages)
    suffix = TARGETS[args.format].suffix
    # A bundled model is written into the current folder, not beside its weights.
    beside = Path(args.config if args.checkpoint is None else checkpoint)
    output = Path(beside.with_suffix(suffix) if args.output is None else args.output)
    if output.suffix != suffix:
        raise ValueError(f'--output for {args.format} must end in {suffix}, got {output}')
    for file in target_files(output):
        refuse_inputs(file, [source, checkpoint])
    require_folder(output)
    _variant(output, args.precision, args.batch, args.opset)
    crops = crops_of(config, args.photos)
    model = load_model(config, checkpoint)
    certificate = export(model, output, args.decode, crops, args.interface, args.precision,
                         args.batch, args.opset)
    width, height = model.head.decoder.input_size
    range_ = 'normalised by rtmlib' if args.interface else '0 to 255, BGR'
    shape = f'({args.batch or "batch"}, 3, {height}, {width})'
    print(f'wrote {output}: input {INPUT} {shape}, float32, {range_}'
          + (f', opset {args.opset or OPSET}' if args.format == 'onnx' else ''))
    print(in_words(certificate))
    return 0


def _run_page(args: argparse.Namespace, config: Config, source: str | Path,
              checkpoint: str | Path) -> int:
    """Write a page, and say how to open it."""
    given = [name for name in ('decode', 'interface', 'batch', 'opset') if getattr(args, name)]
    if args.precision != PRECISIONS[0]:
        given.append('precision')
    if given:
        raise ValueError(f'--{given[0]} is not for --format {WEB}: the page runs a float32 file of '
                         'any batch, and decodes by itself')
    require(TARGETS['onnx'].packages)
    beside = Path(args.config if args.checkpoint is None else checkpoint)
    output = Path(beside.with_name(f'{beside.stem}_web') if args.output is None else args.output)
    crops = crops_of(config, args.photos)
    model = load_model(config, checkpoint)
    certificate = export_page(model, output, beside.stem, crops, args.onnxruntime_web,
                              [source, checkpoint, *([args.photos] if args.photos else [])])
    size = sum(path.stat().st_size for path in output.rglob('*')) / 1e6
    print(f'wrote {output}, {size:.1f} MB; this serves it at http://localhost:8000:\n'
          f'  python -m http.server --directory {shlex.quote(str(output))}')
    print(in_words(certificate))
    return 0
