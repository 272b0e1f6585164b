"""The file formats of exported models: how each one is written, loaded and run."""

from __future__ import annotations

import errno
import importlib
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .config import reason
from .devices import CPU, DeviceError, moved, onnx_options, onnx_session, openvino_device
from .metadata import KEY, from_text

if TYPE_CHECKING:
    import openvino

OPSET = 18  # what torch writes; others are converted from it
OPSETS = range(17, 26)
BATCH = torch.export.Dim('batch', min=1)
INPUT = 'images'


def outputs_of(network: nn.Module) -> list[str]:
    """Names of the outputs of an ``InferenceNetwork``."""
    return ['keypoints', 'scores'] if network.decode else ['heatmaps']


class Variant(NamedTuple):
    """How a file is written.

    Attributes:
        batch: Number of images that it takes at a time; None for any number.
        opset: Of ONNX.
    """

    batch: int | None = None
    opset: int = OPSET

    @property
    def dynamic_shapes(self) -> tuple[dict, ...] | None:
        """What torch is told of the inputs."""
        return ({0: BATCH}, ) if self.batch is None else None


class Engine(NamedTuple):
    """A loaded file.

    Attributes:
        run: From images to outputs.
        num_outputs: 1 for heatmaps, 2 for keypoints and scores.
        metadata: The text that the file carries, None where it has none.
    """

    run: Callable[[np.ndarray], list[np.ndarray]]
    num_outputs: int
    metadata: str | None


class Target(NamedTuple):
    """A file format.

    Attributes:
        suffix: What its files end in.
        writing: Packages that writing needs, besides those for running.
        running: Packages that running needs.
        convert: A network, traced with an example batch, in the format's own form; how, says a
            variant.
        save: Writes that form and the text of its metadata to a path.
        load: Loads a file, to run in a precision on a device.
        relabel: Copies a file to a path, with another text of metadata.
        can_execute: Whether a file of this format can run code of its own when it is loaded.
        precisions: What its engine can compute in on this machine.
    """

    suffix: str
    writing: tuple[str, ...]
    running: tuple[str, ...]
    convert: Callable[[nn.Module, Tensor, Variant], Any]
    save: Callable[[Any, Path, str], None]
    load: Callable[[Path, str, str], Engine]
    relabel: Callable[[Path, Path, str], None]
    can_execute: bool = False
    precisions: Callable[[], tuple[str, ...]] = lambda: ('f32', )

    @property
    def packages(self) -> tuple[str, ...]:
        """What writing and running needs."""
        return self.writing + self.running


def _trace(network: nn.Module, example: Tensor,
           variant: Variant) -> torch.export.ExportedProgram:
    return torch.export.export(network, (example, ), dynamic_shapes=variant.dynamic_shapes)


def _save_torch(program: torch.export.ExportedProgram, path: Path, metadata: str) -> None:
    content = io.BytesIO()  # torch's own writer ends the process on a full disk
    torch.export.save(program, content, extra_files={KEY: metadata})
    path.write_bytes(content.getbuffer())


def _load_torch(path: Path, precision: str, device: str) -> Engine:
    log = logging.getLogger('torch.export')
    log.disabled = True  # it prints the traceback of what it raises
    extra: dict[str, Any] = {KEY: ''}
    try:
        program = torch.export.load(path, extra_files=extra)
    finally:
        log.disabled = False
    module = moved(program, device).module()

    def call(images: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            outputs = module(torch.from_numpy(images).to(device))
        outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
        return [output.cpu().numpy() for output in outputs]

    return Engine(call, len(program.graph_signature.user_outputs), extra[KEY] or None)


def _relabel_torch(path: Path, target: Path, metadata: str) -> None:
    _save_torch(torch.export.load(path), target, metadata)


def _convert_onnx(network: nn.Module, example: Tensor,
                  variant: Variant) -> torch.onnx.ONNXProgram:
    program = torch.onnx.export(
        network, (example, ), dynamo=True, opset_version=variant.opset, input_names=[INPUT],
        output_names=outputs_of(network), dynamic_shapes=variant.dynamic_shapes, verbose=False)
    assert program is not None  # as dynamo=True says
    written = program.model.opset_imports['']
    if written != variant.opset:  # torch keeps its own, and says so in a log
        raise ValueError(f'opset {variant.opset} cannot be written for this model; opset '
                         f'{written} can')
    return program


def _save_onnx(program: torch.onnx.ONNXProgram, path: Path, metadata: str) -> None:
    program.model.metadata_props[KEY] = metadata
    program.save(path, external_data=False)


def _relabel_onnx(path: Path, target: Path, metadata: str) -> None:
    require(('onnx', ))
    import onnx
    model = onnx.load(path)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**entries, KEY: metadata})
    onnx.save(model, target)


def _load_onnx(path: Path, precision: str, device: str) -> Engine:
    session = onnx_session(str(path), device, onnx_options())
    return Engine(lambda images: session.run(None, {INPUT: images}), len(session.get_outputs()),
                  session.get_modelmeta().custom_metadata_map.get(KEY))


def _convert_openvino(network: nn.Module, example: Tensor, variant: Variant) -> openvino.Model:
    import openvino
    model = openvino.convert_model(_trace(network, example, variant))
    if variant.batch is not None:  # OpenVINO leaves it open
        model.reshape(list(example.shape))
    model.inputs[0].get_tensor().set_names({INPUT})
    for output, name in zip(model.outputs, outputs_of(network)):
        output.get_tensor().set_names({name})
    return model


def _save_openvino(model: openvino.Model, path: Path, metadata: str) -> None:
    model.set_rt_info(metadata, KEY)
    write_openvino(model, path)


def write_openvino(model: openvino.Model, path: Path) -> None:
    """Write both files of a model.

    Raises:
        OSError: If they cannot be written.
    """
    import openvino
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # of C++, which does not say why
        raise OSError(errno.ENOSPC, f'is the disk full? ({reason(error)})') from None


def _relabel_openvino(path: Path, target: Path, metadata: str) -> None:
    import openvino
    _save_openvino(openvino.Core().read_model(path), target, metadata)


def _load_openvino(path: Path, precision: str, device: str) -> Engine:
    import openvino
    core = openvino.Core()
    name = openvino_device(core, device)
    model = core.read_model(path)
    properties: dict[str, Any] = {'INFERENCE_PRECISION_HINT': precision}
    if name == 'CPU':
        properties['INFERENCE_NUM_THREADS'] = torch.get_num_threads()
    compiled = core.compile_model(model, name, properties)
    return Engine(lambda images: [np.array(output) for output in compiled(images).values()],
                  len(model.outputs), openvino_metadata(model))


def _precisions_of_openvino() -> tuple[str, ...]:
    import openvino
    able = openvino.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
    return ('f32', 'bf16') if 'BF16' in able else ('f32', )


def openvino_metadata(model: openvino.Model) -> str | None:
    """The text of a model's metadata."""
    return model.get_rt_info(KEY).astype(str) if model.has_rt_info(KEY) else None


TARGETS = {
    'onnx': Target('.onnx', ('onnx', 'onnxscript'), ('onnxruntime', ), _convert_onnx, _save_onnx,
                   _load_onnx, _relabel_onnx),
    'openvino': Target('.xml', (), ('openvino', ), _convert_openvino, _save_openvino,
                       _load_openvino, _relabel_openvino, precisions=_precisions_of_openvino),
    # torch loads it with pickle, evaluates its expressions and calls the functions that it names.
    'torch-export': Target('.pt2', (), (), _trace, _save_torch, _load_torch,
                           _relabel_torch, can_execute=True),
}


class NotFinite(ValueError):
    """A network gives NaN or infinity."""


class Exported:
    """An exported file, run by its own engine.

    Attributes:
        path: The file.
        metadata: What it says of itself, see :mod:`~refinepose_mm.deploy.metadata`; None for
            files of 0.1.0.
        gives_heatmaps: False if it was exported with ``--decode``: keypoints and scores come out.
    """

    def __init__(self, path: Path, engine: Engine):
        self.path, self.metadata = path, None
        self.gives_heatmaps = engine.num_outputs == 1
        if engine.metadata is not None:
            self.metadata = from_text(engine.metadata, path)
        self._run = engine.run

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        """Outputs for images (B, 3, H, W), float32, 0 to 255, BGR.

        Raises:
            ValueError: If the file takes no images of this shape.
            NotFinite: If outputs are not finite.
        """
        if self.metadata is not None and not self.metadata['normalization']['inside']:
            mean, std = (np.array(self.metadata['normalization'][name], np.float32)
                         for name in ('mean', 'std'))
            images = (images - mean[:, None, None]) / std[:, None, None]
        size = (self.metadata or {'input': {}})['input'].get('batch')
        try:
            outputs = self._run(images) if size is None else self._in_pieces(images, size)
        except Exception as error:  # each engine has its own
            raise ValueError(f'{self.path.name} refuses images of shape {images.shape}: '
                             f'{reason(error)}') from None
        if not all(np.isfinite(output).all() for output in outputs):
            raise NotFinite(f'{self.path.name} gives NaN or infinite numbers')
        return outputs

    def _in_pieces(self, images: np.ndarray, size: int) -> list[np.ndarray]:
        """Outputs of a file that takes this number of images at a time; the last are repeated."""
        missing = -len(images) % size
        filled = np.concatenate([images, images[-1:].repeat(missing, 0)])
        pieces = [self._run(filled[first:first + size]) for first in range(0, len(filled), size)]
        return [np.concatenate(outputs)[:len(images)] for outputs in zip(*pieces)]


def target_of(path: str | Path) -> Target:
    """The format of a file, by its ending.

    Raises:
        ValueError: If it is none of ours.
    """
    for target in TARGETS.values():
        if Path(path).suffix == target.suffix:
            return target
    raise ValueError(f'{path} must end in one of {", ".join(t.suffix for t in TARGETS.values())}')


def target_files(path: Path) -> list[Path]:
    """The files that an export to a path writes: OpenVINO has its weights in a second one."""
    return [path, path.with_suffix('.bin')] if path.suffix == '.xml' else [path]


def is_exported(path: str | Path) -> bool:
    """Whether a file is an exported model rather than a checkpoint, by its ending."""
    return Path(path).suffix in [target.suffix for target in TARGETS.values()]


def load_exported(path: str | Path, precision: str = 'f32', trust: bool = False,
                  device: str = CPU) -> Exported:
    """An exported file, run by its own engine: call it with images.

    Args:
        path: The file.
        precision: 'f32', or 'bf16' for OpenVINO files on CPUs that support it: about twice as
            fast, with heatmaps rounded to three digits.
        trust: Load a torch.export file (.pt2), which can execute code of its own; for files that
            you or somebody you trust has made.
        device: 'cpu'; for ONNX also 'cuda', 'cuda:1' or a provider of ONNX Runtime such as
            'TensorrtExecutionProvider', for OpenVINO its name of a device such as 'GPU', for
            torch.export a device of torch. Images and outputs are on the CPU.

    Raises:
        ValueError: If the file's ending is none of ours, its engine has no such precision or
            device, the file is broken, or it can execute code and is not trusted.
        FileNotFoundError: If it does not exist.
        ImportError: If a package is missing; the message has the command that installs it.
    """
    path, target = Path(path), target_of(path)
    if not path.is_file():
        raise FileNotFoundError(f'exported model {path} not found')
    if precision != 'f32' and path.suffix != '.xml':
        raise ValueError(f'only OpenVINO files (.xml) run in {precision}, got {path.name}')
    require_trust(path, trust)
    require(target.running)
    try:
        engine = target.load(path, precision, device)
    except DeviceError:
        raise
    except Exception as error:  # each engine has its own
        raise ValueError(f'{path} is not a complete exported model: {reason(error)}') from None
    return Exported(path, engine)


def require_trust(path: str | Path, trust: bool) -> None:
    """Refuse a file that can execute code of its own, unless it is trusted.

    Raises:
        ValueError: If it is not, or the file's ending is none of ours.
    """
    target = target_of(path)
    if target.can_execute and not trust:
        raise ValueError(f'{path} can execute code when it is loaded, as every {target.suffix} '
                         'file can; if you know who made it, use --trust (in Python: trust=True)')


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
