"""`refinepose export`: a trained model as an ONNX, OpenVINO or torch.export file.

The file runs without this package: image batch in, heatmaps or keypoints out. The pool positions
are compared and placed, never scattered: ONNX needs its standard operators only.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmpose.apis import init_model
from torch import Tensor, nn

from ..codecs import decode_udp
from ..weights import read_checkpoint
from .fold import fold

OPSET = 18
BATCH = torch.export.Dim('batch', min=1)
INPUT = 'images'
OUTPUTS = dict(heatmaps=['heatmaps'], keypoints=['keypoints', 'scores'])


class ExportedNetwork(nn.Module):
    """What is exported: normalisation, backbone, neck, head and, if asked for, decoding.

    Args:
        model: A trained ``TopdownPoseEstimator``, folded; to decode, its codec must be
            ``BatchedUDPHeatmap``.
        decode: End in keypoints and scores instead of heatmaps.

    Shapes: images (B, 3, H, W), float32, 0 to 255, channels in OpenCV's order (BGR) -> heatmaps
    (B, K, H/4, W/4), or keypoints (B, K, 2) as (x, y) in pixels of the images and scores (B, K).
    """

    def __init__(self, model: nn.Module, decode: bool):
        super().__init__()
        self.backbone, self.head, self.decode = model.backbone, model.head, decode
        self.neck = model.neck if model.with_neck else nn.Identity()
        preprocessor = model.data_preprocessor
        self.reverse_channels = preprocessor._channel_conversion
        self.register_buffer('mean', preprocessor.mean.view(1, 3, 1, 1))
        self.register_buffer('std', preprocessor.std.view(1, 3, 1, 1))
        if decode:
            codec = model.head.decoder
            if not hasattr(codec, 'blur_kernel'):
                raise ValueError('decoding inside of the graph needs the codec BatchedUDPHeatmap, '
                                 f'got {type(codec).__name__}')
            self.register_buffer('blur_kernel', codec.blur_kernel)
            steps = np.subtract(codec.heatmap_size, 1)
            self.register_buffer('pixels_per_step', torch.tensor(codec.input_size / steps).float())

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        if self.reverse_channels:
            images = images.flip(1)
        features = self.neck(self.backbone((images - self.mean) / self.std))
        heatmaps = self.head(features)
        if not self.decode:
            return heatmaps
        coordinates, scores = decode_udp(heatmaps, self.blur_kernel)
        return coordinates * self.pixels_per_step, scores


class Target(NamedTuple):
    """A file format: its ending, the packages it needs, how to write it and how to run it."""

    suffix: str
    packages: tuple[str, ...]
    write: Callable[[nn.Module, Tensor, Path], None]
    load: Callable[[Path, str], Callable[[np.ndarray], list[np.ndarray]]]


def _write_torch(network: ExportedNetwork, example: Tensor, path: Path) -> None:
    torch.export.save(_trace(network, example), path)


def _write_onnx(network: ExportedNetwork, example: Tensor, path: Path) -> None:
    outputs = OUTPUTS['keypoints' if network.decode else 'heatmaps']
    program = torch.onnx.export(
        network, (example, ), dynamo=True, opset_version=OPSET, input_names=[INPUT],
        output_names=outputs, dynamic_shapes=({0: BATCH}, ), verbose=False)
    program.save(path, external_data=False)


def _trace(network: ExportedNetwork, example: Tensor) -> torch.export.ExportedProgram:
    return torch.export.export(network, (example, ), dynamic_shapes=({0: BATCH}, ))


def _load_torch(path: Path, precision: str) -> Callable[[np.ndarray], list[np.ndarray]]:
    module = torch.export.load(path).module()

    def call(images: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            outputs = module(torch.from_numpy(images))
        outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
        return [output.numpy() for output in outputs]

    return call


def _load_onnx(path: Path, precision: str) -> Callable[[np.ndarray], list[np.ndarray]]:
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return lambda images: session.run(None, {INPUT: images})


def _write_openvino(network: ExportedNetwork, example: Tensor, path: Path) -> None:
    import openvino
    model = openvino.convert_model(_trace(network, example))
    model.inputs[0].get_tensor().set_names({INPUT})
    for output, name in zip(model.outputs, OUTPUTS['keypoints' if network.decode else 'heatmaps']):
        output.get_tensor().set_names({name})
    openvino.save_model(model, path, compress_to_fp16=False)


def _load_openvino(path: Path, precision: str) -> Callable[[np.ndarray], list[np.ndarray]]:
    import openvino
    compiled = openvino.Core().compile_model(path, 'CPU', {
        'INFERENCE_NUM_THREADS': torch.get_num_threads(), 'INFERENCE_PRECISION_HINT': precision})
    return lambda images: [np.array(output) for output in compiled(images).values()]


TARGETS = {
    'onnx': Target('.onnx', ('onnx', 'onnxscript', 'onnxruntime'), _write_onnx, _load_onnx),
    'openvino': Target('.xml', ('openvino', ), _write_openvino, _load_openvino),
    'torch-export': Target('.pt2', (), _write_torch, _load_torch),
}


def load_model(config: str | Config, checkpoint: str | Path, device: str = 'cpu') -> nn.Module:
    """Build the model of a config with the weights of a checkpoint, all of them.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        ValueError: If it is broken, or not of this model.
    """
    model = init_model(config, device=device)
    try:
        model.load_state_dict(read_checkpoint(str(checkpoint)))
    except RuntimeError as error:  # torch lists every key
        lines = str(error).splitlines()
        raise ValueError(f'{checkpoint} is not of this config: ' + ' '.join(
            line.strip()[:200] for line in lines[1:3])) from None
    return model


def load_exported(path: str | Path,
                  precision: str = 'f32') -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function from images to the outputs of an exported file, run by its own engine.

    Args:
        path: The file.
        precision: 'f32', or 'bf16' for OpenVINO on CPUs that know it, where it is about twice as
            fast and rounds heatmaps to three digits.

    Raises:
        ValueError: If the file's ending is none of ours, or its engine has no such precision.
        FileNotFoundError: If it does not exist.
        ImportError: If a package is missing; the message has the command that installs it.
    """
    path = Path(path)
    for target in TARGETS.values():
        if path.suffix == target.suffix:
            break
    else:
        raise ValueError(f'{path} must end in one of '
                         f'{", ".join(t.suffix for t in TARGETS.values())}')
    if not path.is_file():
        raise FileNotFoundError(f'exported model {path} not found')
    if precision != 'f32' and path.suffix != '.xml':
        raise ValueError(f'only OpenVINO files (.xml) run in {precision}, got {path.name}')
    require(target.packages)
    engine = target.load(path, precision)

    def call(images: np.ndarray) -> list[np.ndarray]:
        try:
            return engine(images)
        except Exception as error:  # each engine has its own
            raise ValueError(f'{path.name} refuses images of shape {images.shape}: '
                             f'{str(error).splitlines()[0]}') from None

    return call


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
        ImportError: If a package is missing; the message has the command that installs it.
    """
    path = Path(path)
    targets = {target.suffix: target for target in TARGETS.values()}
    if path.suffix not in targets:
        raise ValueError(f'{path} must end in one of {", ".join(targets)}')
    if not path.parent.is_dir():
        raise FileNotFoundError(f'folder {path.parent} of {path.name} not found')
    target = targets[path.suffix]
    require(target.packages)
    network = ExportedNetwork(fold(model), decode).eval()
    size = model.head.decoder.input_size[::-1]
    generator = torch.Generator().manual_seed(0)
    example, other = (torch.randint(0, 256, (batch, 3, *size), generator=generator).float()
                      for batch in (2, 3))
    with torch.no_grad():
        target.write(network, example, path)
        expected = network(other)
    expected = expected if decode else [expected]
    names = OUTPUTS['keypoints' if decode else 'heatmaps']
    return {name: float(np.abs(ours - theirs.numpy()).max()) for name, ours, theirs in zip(
        names, target.load(path, 'f32')(other.numpy()), expected)}


def require(packages: tuple[str, ...]) -> None:
    """Import packages, or say how to install them.

    Raises:
        ImportError: If one is missing.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ImportError(f'{package} is needed for this format ({error}): '
                              f'pip install {" ".join(packages)}') from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose export`."""
    parser.add_argument('config', help='config of the model')
    parser.add_argument('checkpoint', help='its trained weights')
    parser.add_argument('--format', choices=TARGETS, default='onnx')
    parser.add_argument('--decode', action='store_true',
                        help='keypoints and scores come out instead of heatmaps')
    parser.add_argument('--output', help='default: the checkpoint\'s name with another ending')


def run(args: argparse.Namespace) -> int:
    """Export, and say how far the file is from the model."""
    for path in (args.config, args.checkpoint):
        if not Path(path).is_file():
            raise FileNotFoundError(f'{path} not found')
    require(TARGETS[args.format].packages)
    suffix = TARGETS[args.format].suffix
    output = Path(args.output or Path(args.checkpoint).with_suffix(suffix))
    if output.suffix != suffix:
        raise ValueError(f'--output for {args.format} must end in {suffix}, got {output}')
    model = load_model(args.config, args.checkpoint)
    differences = export(model, output, args.decode)
    width, height = model.head.decoder.input_size
    print(f'wrote {output}: input {INPUT} (batch, 3, {height}, {width}), float32, 0 to 255, BGR'
          + (f', opset {OPSET}' if args.format == 'onnx' else ''))
    for name, difference in differences.items():
        print(f'  {name}: differs from PyTorch by at most {difference:.2g}')
    return 0
