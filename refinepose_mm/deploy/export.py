"""`refinepose export`: a trained model as an ONNX, OpenVINO or torch.export file.

The file runs without this package: image batch in, heatmaps or keypoints out. Unpooling compares
and places instead of scattering, so ONNX needs its standard operators only.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from ..bundled import NAMES, config_and_weights
from ..files import named_if_full, refuse_inputs, replacing, require_folder
from .certificate import (
    Crops,
    NotFinite,
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
    Variant,
    require,
    target_files,
    target_of,
)
from .metadata import describe, to_text
from .network import InferenceNetwork, load_model
from .rtmlib import RtmlibNetwork, redescribe

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
    parser.add_argument('--format', choices=TARGETS, default='onnx')
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
    parser.add_argument('--output', help='default: the checkpoint\'s name with another ending')


def run(args: argparse.Namespace) -> int:
    """Export, and say how far the file is from the model."""
    source, checkpoint = config_and_weights(args.config, args.checkpoint)
    config = load_config(source, DECODER, f'{TEST_DATA}.pipeline')
    require_file(checkpoint)
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
