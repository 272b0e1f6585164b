"""What comes out of an exported file, compared with what a config's head and codec take."""

from __future__ import annotations

import numpy as np
from mmengine.config import Config
from mmpose.registry import KEYPOINT_CODECS

from .config import DECODER
from .formats import Exported


def require_outputs(file: Exported, config: Config) -> None:
    """Run a file once, and check that its outputs are those of a config's head and codec.

    Metadata say what a file is, but not every file has them.

    Args:
        file: Any.
        config: With ``model.head`` and its decoder.

    Raises:
        ValueError: If the codec has no heatmaps, or the outputs have another number or shape.
    """
    head = config.model.head
    codec = KEYPOINT_CODECS.build(head.decoder)
    if not hasattr(codec, 'heatmap_size'):
        raise ValueError(f'{DECODER} must be a codec of heatmaps, got {type(codec).__name__}')
    width, height = codec.input_size
    shapes = [output.shape for output in file(np.zeros((1, 3, height, width), np.float32))]
    count = head.out_channels
    expected = ([(1, count, *codec.heatmap_size[::-1])] if file.gives_heatmaps else
                [(1, count, 2), (1, count)])
    if shapes != expected:
        raise ValueError(f'{file.path} is not of this config: it gives {_shapes(shapes)} for one '
                         f'image, expected {_shapes(expected)}')


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return ' and '.join('x'.join(map(str, shape)) for shape in shapes)
