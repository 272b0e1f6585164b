"""A detector in an ONNX or OpenVINO file, of any family in :mod:`.families`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable, NamedTuple

import numpy as np
import torch

from ...compat import nms
from ..config import reason, require_file
from ..devices import CPU, onnx_options, onnx_session
from ..formats import require
from .families import FAMILIES, Found, Size, recognised
from .letterbox import letterbox

if TYPE_CHECKING:
    import openvino

USUAL_SIDE = 640  # of inputs whose size the file leaves open
OVERLAP = .65  # boxes that overlap a better one by more are of the same person
MOST = 300  # boxes of an image that are compared
FLOATS = {'tensor(float)': np.float32, 'tensor(float16)': np.float16, 'f32': np.float32,
          'f16': np.float16}


class Session(NamedTuple):
    """A loaded file.

    Attributes:
        run: From images to outputs.
        inputs: Shape of each input; -1 stands for any size.
        dtype: Of the first input; None if it is not of floating point.
        stem: Counts the channels that the first convolution takes, None if it cannot be seen.
        engine: Its name.
    """

    run: Callable[[np.ndarray], list[np.ndarray]]
    inputs: list[tuple[int, ...]]
    dtype: type | None
    stem: Callable[[], int | None]
    engine: str


def _open_onnx(path: Path) -> Session:
    require(('onnxruntime', ))
    options = onnx_options()
    options.log_severity_level = 3  # warnings about shapes are not for users
    session = onnx_session(str(path), CPU, options)
    inputs = session.get_inputs()
    shapes = [tuple(side if isinstance(side, int) and side > 0 else -1 for side in each.shape)
              for each in inputs]
    def stem() -> int | None:
        try:
            import onnx
        except ImportError:
            return None
        graph = onnx.load(path, load_external_data=False).graph
        first = next((node for node in graph.node if node.op_type == 'Conv'), None)
        sizes = {weight.name: weight.dims for weight in graph.initializer}
        sides = None if first is None else sizes.get(first.input[1])
        return None if sides is None else sides[1]

    return Session(lambda images: session.run(None, {inputs[0].name: images}), shapes,
                   FLOATS.get(inputs[0].type), stem, 'ONNX Runtime')


def _open_openvino(path: Path) -> Session:
    require(('openvino', ))
    import openvino
    core = openvino.Core()
    model = core.read_model(path)
    compiled = core.compile_model(model, 'CPU', {
        'INFERENCE_NUM_THREADS': torch.get_num_threads(), 'INFERENCE_PRECISION_HINT': 'f32'})
    shapes = [tuple(-1 if side.is_dynamic else side.get_length() for side in each.partial_shape)
              for each in model.inputs]

    def stem() -> int | None:
        for operation in model.get_ordered_ops():
            if operation.get_type_name() == 'Convolution':
                return operation.input(1).get_partial_shape()[1].get_length()
        return None

    return Session(lambda images: _arrays(compiled(images)), shapes,
                   FLOATS.get(model.inputs[0].get_element_type().to_string()), stem, 'OpenVINO')


def _arrays(outputs: openvino.OVDict) -> list[np.ndarray]:
    return [np.array(output) for output in outputs.values()]


OPENERS = {'.onnx': _open_onnx, '.xml': _open_openvino}


class ExportedDetector:
    """Finds persons with an exported file.

    Args:
        path: Ends in .onnx or .xml.
        threshold: Lowest score, 0 to 1.
        family: A name of :data:`~.families.FAMILIES`; default: told by the file.

    Attributes:
        description: What the file is and what it is given.

    Raises:
        FileNotFoundError: If the file does not exist.
        ImportError: If its engine is not installed.
        ValueError: If it is broken, no detector, or of several families or another than named.
    """

    def __init__(self, path: Path, threshold: float, family: str | None = None):
        self.path, self.threshold = path, threshold
        require_file(path)
        try:
            self.session = OPENERS[path.suffix](path)
        except ImportError:
            raise
        except Exception as error:  # each engine has its own
            raise ValueError(f'detector {path} cannot be read: {reason(error)}') from None
        shape = self._shape()
        self.batch = shape[0] if shape[0] > 0 else None  # None: any number of images
        self.size = Size(*(side if side > 0 else USUAL_SIDE for side in shape[2:]))
        black = np.zeros((1, 3, *self.size), np.float32)
        try:
            name = recognised(self._run(black), self.size, self.session.stem, family)
        except ValueError as error:
            raise ValueError(f'detector {path}: {error}') from None
        self.family = FAMILIES[name]
        self.description = (f'{path.name} as {self.family}, {self.size.height}x{self.size.width}, '
                            f'by {self.session.engine}')

    def _shape(self) -> tuple[int, ...]:
        shapes, dtype = self.session.inputs, self.session.dtype
        shape = shapes[0] if len(shapes) == 1 else ()
        if len(shape) != 4 or shape[1] not in (3, -1) or dtype is None:
            raise ValueError(f'detector {self.path}: expected one input of images (B, 3, H, W), '
                             f'float, got {", ".join(map(str, shapes))}'
                             f'{"" if dtype else ", not float"}')
        return shape

    def _run(self, images: np.ndarray) -> list[np.ndarray]:
        """Outputs for images (B, 3, H, W), in the batches that the file takes."""
        count, step = len(images), self.batch or len(images)
        parts = []
        for start in range(0, count, step):
            part = images[start:start + step]
            missing = step - len(part)
            part = np.concatenate([part, np.repeat(part[-1:], missing, 0)])
            try:
                outputs = self.session.run(part.astype(self.session.dtype))
            except Exception as error:  # each engine has its own
                raise ValueError(f'detector {self.path} refuses images {part.shape}: '
                                 f'{reason(error)}') from None
            parts.append([output[:step - missing] if output.ndim else output[None]
                          for output in outputs])
        return [_joined(outputs) for outputs in zip(*parts)]

    def __call__(self, images: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Boxes (N, 4) in pixels and scores (N,) for each image (H, W, 3), uint8, BGR."""
        family = self.family
        boxed, places = zip(*(letterbox(image, *self.size, family.centred) for image in images))
        inputs = np.stack(boxed)[..., ::-1 if family.rgb else 1].astype(np.float32)
        inputs = (inputs - np.float32(family.mean)) / np.float32(family.std)
        found = family.decode(self._run(inputs.transpose(0, 3, 1, 2)), self.size)
        return [(place.to_image(boxes), scores) for place, (boxes, scores) in zip(
            places, thinned(found, self.threshold, family.overlaps))]


def _joined(outputs: tuple[np.ndarray, ...]) -> np.ndarray:
    """Outputs of several batches as one; those with fewer boxes get empty ones of score 0."""
    most = np.max([output.shape[1:] for output in outputs], axis=0)
    return np.concatenate([np.pad(output.astype(np.float32), [(0, 0), *(
        (0, more) for more in most - output.shape[1:])]) for output in outputs])


def thinned(found: Found, threshold: float,
            overlaps: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """The boxes (N, 4) of each image that count, best first, and their scores (N,).

    Args:
        found: Boxes (B, n, 4) and scores (B, n).
        threshold: Lowest score.
        overlaps: Drop boxes that overlap a better one.
    """
    kept = []
    for boxes, scores in zip(*found):
        finite = np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        chosen = np.flatnonzero(finite & (scores >= threshold))
        chosen = chosen[np.argsort(-scores[chosen], kind='stable')][:MOST]
        if overlaps:
            chosen = chosen[nms(*(torch.from_numpy(values[chosen].astype(np.float32))
                                  for values in (boxes, scores)), OVERLAP).numpy()]
        kept.append((boxes[chosen], scores[chosen].astype(np.float32)))
    return kept
