"""The file formats of exported models: how each one is written, loaded and run."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .network import InferenceNetwork

OPSET = 18
BATCH = torch.export.Dim('batch', min=1)
INPUT = 'images'
OUTPUTS = dict(heatmaps=['heatmaps'], keypoints=['keypoints', 'scores'])


class Target(NamedTuple):
    """A file format.

    Attributes:
        suffix: What its files end in.
        packages: What writing and running it needs.
        write: Writes a network, traced with an example batch, to a path.
        load: From a path and a precision, a function from images to outputs.
        can_execute: Whether a file of this format can run code of its own when it is loaded.
    """

    suffix: str
    packages: tuple[str, ...]
    write: Callable[[nn.Module, Tensor, Path], None]
    load: Callable[[Path, str], Callable[[np.ndarray], list[np.ndarray]]]
    can_execute: bool = False


def _write_torch(network: InferenceNetwork, example: Tensor, path: Path) -> None:
    torch.export.save(_trace(network, example), path)


def _write_onnx(network: InferenceNetwork, example: Tensor, path: Path) -> None:
    outputs = OUTPUTS['keypoints' if network.decode else 'heatmaps']
    program = torch.onnx.export(
        network, (example, ), dynamo=True, opset_version=OPSET, input_names=[INPUT],
        output_names=outputs, dynamic_shapes=({0: BATCH}, ), verbose=False)
    program.save(path, external_data=False)


def _trace(network: InferenceNetwork, example: Tensor) -> torch.export.ExportedProgram:
    return torch.export.export(network, (example, ), dynamic_shapes=({0: BATCH}, ))


def _load_torch(path: Path, precision: str) -> Callable[[np.ndarray], list[np.ndarray]]:
    log = logging.getLogger('torch.export')
    log.disabled = True  # it prints the traceback of what it raises
    try:
        module = torch.export.load(path).module()
    finally:
        log.disabled = False

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


def _write_openvino(network: InferenceNetwork, example: Tensor, path: Path) -> None:
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
    # torch loads it with pickle, evaluates its expressions and calls the functions that it names.
    'torch-export': Target('.pt2', (), _write_torch, _load_torch, can_execute=True),
}


def target_of(path: str | Path) -> Target:
    """The format of a file, by its ending.

    Raises:
        ValueError: If it is none of ours.
    """
    for target in TARGETS.values():
        if Path(path).suffix == target.suffix:
            return target
    raise ValueError(f'{path} must end in one of {", ".join(t.suffix for t in TARGETS.values())}')


def is_exported(path: str | Path) -> bool:
    """Whether a file is an exported model rather than a checkpoint, by its ending."""
    return Path(path).suffix in [target.suffix for target in TARGETS.values()]


def load_exported(path: str | Path, precision: str = 'f32',
                  trust: bool = False) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function from images to the outputs of an exported file, run by its own engine.

    Args:
        path: The file.
        precision: 'f32', or 'bf16' for OpenVINO files on CPUs that support it: about twice as
            fast, with heatmaps rounded to three digits.
        trust: Load a torch.export file (.pt2), which can execute code of its own; for files that
            you or somebody you trust has made.

    Raises:
        ValueError: If the file's ending is none of ours, its engine has no such precision, the
            file is broken, or it can execute code and is not trusted.
        FileNotFoundError: If it does not exist.
        ImportError: If a package is missing; the message has the command that installs it.
    """
    path, target = Path(path), target_of(path)
    if not path.is_file():
        raise FileNotFoundError(f'exported model {path} not found')
    if precision != 'f32' and path.suffix != '.xml':
        raise ValueError(f'only OpenVINO files (.xml) run in {precision}, got {path.name}')
    if target.can_execute and not trust:
        raise ValueError(f'{path} can execute code when it is loaded, as every {path.suffix} file '
                         'can; if you know who made it, use --trust (in Python: trust=True)')
    require(target.packages)
    try:
        engine = target.load(path, precision)
    except Exception as error:  # each engine has its own
        raise ValueError(f'{path} is not a complete exported model: {_first_line(error)}') from None

    def call(images: np.ndarray) -> list[np.ndarray]:
        try:
            return engine(images)
        except Exception as error:  # each engine has its own
            raise ValueError(f'{path.name} refuses images of shape {images.shape}: '
                             f'{_first_line(error)}') from None

    return call


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
                              'pip install "refinepose_mm[export]"') from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


