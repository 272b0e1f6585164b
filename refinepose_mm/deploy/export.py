"""`refinepose export`: a trained model as an ONNX, OpenVINO or torch.export file.

The file runs without this package: image batch in, heatmaps or keypoints out. Unpooling compares
and places instead of scattering, so ONNX needs its standard operators only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..bundled import NAMES, config_and_weights
from ..files import refuse_inputs, replacing, require_folder
from .config import DECODER, load_config, require_file
from .fold import fold
from .formats import INPUT, OPSET, TARGETS, outputs_of, require, target_of
from .metadata import describe, to_text
from .network import InferenceNetwork, load_model


def export(model: nn.Module, path: str | Path, decode: bool = False) -> dict[str, float]:
    """Write a model to a file of the format that the file's ending says, and check the file.

    Args:
        model: A trained ``TopdownPoseEstimator`` on the CPU.
        path: Where to write, ending in .onnx, .xml (OpenVINO) or .pt2 (torch.export).
        decode: Keypoints and scores come out instead of heatmaps.

    Returns:
        For each output the largest difference between the file, run by its own engine on another
        batch size, and the model.

    Raises:
        ValueError: For an unknown ending, or a codec that cannot be exported.
        OSError: If the file cannot be written.
        ImportError: If a package is missing; the message has the command that installs it.
    """
    path, target = Path(path), target_of(path)
    require_folder(path)
    require(target.packages)
    network = InferenceNetwork(fold(model), decode).eval()
    size = model.head.decoder.input_size[::-1]
    generator = torch.Generator().manual_seed(0)
    example, other = (torch.randint(0, 256, (batch, 3, *size), generator=generator).float()
                      for batch in (2, 3))
    names = outputs_of(network)
    with torch.no_grad(), replacing(path) as temporary:
        target.save(target.convert(network, example), temporary,
                    to_text(describe(model, decode)))
        expected = network(other)
        expected = expected if decode else [expected]
        found = target.load(temporary, 'f32').run(other.numpy())
        differences = {name: float(np.abs(ours - theirs.numpy()).max())
                       for name, ours, theirs in zip(names, found, expected)}
        wrong = [name for name, difference in differences.items() if not np.isfinite(difference)]
        if wrong:  # nothing is written then
            raise ValueError(f'{path.name} was not written: its {" and ".join(wrong)} are not '
                             'finite; are the weights?')
    return differences


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose export`."""
    parser.add_argument('config', help='config of the model, or the name of a bundled one: '
                        f'{", ".join(NAMES)}')
    parser.add_argument('checkpoint', nargs='?',
                        help='its trained weights; a bundled model has some')
    parser.add_argument('--format', choices=TARGETS, default='onnx')
    parser.add_argument('--decode', action='store_true',
                        help='keypoints and scores come out instead of heatmaps')
    parser.add_argument('--output', help='default: the checkpoint\'s name with another ending')


def run(args: argparse.Namespace) -> int:
    """Export, and say how far the file is from the model."""
    source, checkpoint = config_and_weights(args.config, args.checkpoint)
    config = load_config(source, DECODER)
    require_file(checkpoint)
    require(TARGETS[args.format].packages)
    suffix = TARGETS[args.format].suffix
    # A bundled model is written into the current folder, not beside its weights.
    beside = Path(args.config if args.checkpoint is None else checkpoint)
    output = Path(beside.with_suffix(suffix) if args.output is None else args.output)
    if output.suffix != suffix:
        raise ValueError(f'--output for {args.format} must end in {suffix}, got {output}')
    refuse_inputs(output, [source, checkpoint])
    require_folder(output)
    model = load_model(config, checkpoint)
    differences = export(model, output, args.decode)
    width, height = model.head.decoder.input_size
    print(f'wrote {output}: input {INPUT} (batch, 3, {height}, {width}), float32, 0 to 255, BGR'
          + (f', opset {OPSET}' if args.format == 'onnx' else ''))
    for name, difference in differences.items():
        print(f'  {name}: differs from PyTorch by at most {difference:.2g}')
    return 0
