"""Families of exported detectors: what they take, what comes out, and how to tell them apart.

B images, C classes of which the first is the person, P cells: the places of the strides 8, 16, 32
and, in some, 64. Boxes are in pixels of the input.

=============  ==============================  =========================  =======================
family         outputs                         values of a row            input
=============  ==============================  =========================  =======================
``yolox``      (B, P, 5 + C)                   offset, log size, object,  BGR, 0 to 255, image in
                                               classes, of a cell; or     the upper left
                                               decoded already
``yolov5``     (B, 3 P, 5 + C)                 centre, size, object,      RGB, 0 to 1, image in
                                               classes                    the middle
``yolov8``     (B, 4 + C, P)                   centre, size, classes      as ``yolov5``
``yolov10``    (B, n, 6)                       corners, score, class;     as ``yolov5``
                                               NMS done
``rtmdet``     (B, n, 5), perhaps (B, n)       corners, score; class;     BGR, standardised, image
                                               NMS done                   in the upper left
``yolox-nms``  as ``rtmdet``                   as ``rtmdet``              as ``yolox``
=============  ==============================  =========================  =======================

The last two have the same outputs and different inputs; MMDeploy writes both, and rtmlib's files
are of them. The first convolution tells: YOLOX's takes 12 channels, four neighbouring pixels.

Sources: the exporters of YOLOX, Ultralytics and MMDeploy 1.3, and rtmlib 0.0.16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, NamedTuple

import numpy as np

STRIDES = ((8, 16, 32), (8, 16, 32, 64))
MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # of ImageNet, for B, G, R
LARGEST_LOG = 20.  # keeps exponentials finite
RANGE = (-1e-3, 1 + 1e-3)  # of scores

Found = tuple[np.ndarray, np.ndarray]  # boxes (B, n, 4) and scores (B, n) of persons


class Size(NamedTuple):
    """Of the input, in pixels."""

    height: int
    width: int

    def cells(self, strides: Sequence[int]) -> list[tuple[int, int]]:
        """Rows and columns of each stride."""
        return [(-(-self.height // stride), -(-self.width // stride)) for stride in strides]

    def strides_of(self, count: int) -> Sequence[int] | None:
        """The strides that have so many cells, None if none do."""
        return next((strides for strides in STRIDES if count == sum(
            rows * columns for rows, columns in self.cells(strides))), None)


class Family(NamedTuple):
    """A family of detectors.

    Attributes:
        title: For people.
        fits: Whether outputs for an input of a size can be its own.
        decode: Boxes and scores of persons in outputs.
        overlaps: Whether boxes of one person are still to be thinned out.
        rgb: Whether the input is RGB, else BGR.
        centred: Whether the image lies in the middle of the input, else in the upper left.
        mean: Is subtracted from the input's 0 to 255, by channel.
        std: Divides it then.
        stem: Channels that the first convolution takes.
    """

    title: str
    fits: Callable[[list[np.ndarray], Size], bool]
    decode: Callable[[list[np.ndarray], Size], Found]
    overlaps: bool
    rgb: bool
    centred: bool
    mean: tuple[float, ...] = (0., 0., 0.)
    std: tuple[float, ...] = (1., 1., 1.)
    stem: int = 3

    def __str__(self) -> str:
        values = ('0 to 255' if self.mean == (0, 0, 0) and self.std == (1, 1, 1) else
                  '0 to 1' if self.mean == (0, 0, 0) else f'minus {self.mean} over {self.std}')
        return (f'{self.title}, {"RGB" if self.rgb else "BGR"}, {values}, image in the '
                f'{"middle" if self.centred else "upper left"}')


def _one(outputs: list[np.ndarray]) -> bool:
    return len(outputs) == 1 and outputs[0].ndim == 3


def _fits_yolox(outputs: list[np.ndarray], size: Size) -> bool:
    return _one(outputs) and outputs[0].shape[2] > 5 and bool(size.strides_of(outputs[0].shape[1]))


def _fits_yolov5(outputs: list[np.ndarray], size: Size) -> bool:
    if not _one(outputs) or outputs[0].shape[2] <= 5:
        return False
    cells, rest = divmod(outputs[0].shape[1], 3)
    return not rest and bool(size.strides_of(cells))


def _fits_yolov8(outputs: list[np.ndarray], size: Size) -> bool:
    return _one(outputs) and outputs[0].shape[1] > 4 and bool(size.strides_of(outputs[0].shape[2]))


def _fits_yolov10(outputs: list[np.ndarray], size: Size) -> bool:
    return _one(outputs) and outputs[0].shape[2] == 6 and not (
        _fits_yolox(outputs, size) or _fits_yolov5(outputs, size))


def _fits_dets(outputs: list[np.ndarray], size: Size) -> bool:
    shapes = sorted((output.shape for output in outputs), key=len, reverse=True)
    if not 1 <= len(shapes) <= 2 or len(shapes[0]) != 3 or shapes[0][2] != 5:
        return False
    return len(shapes) == 1 or shapes[1] == shapes[0][:2]


def _corners(centres: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], -1)


def _decode_yolox(outputs: list[np.ndarray], size: Size) -> Found:
    rows, = outputs
    centres, sizes = rows[..., :2], rows[..., 2:4]
    # Decoded centres lie all over the input, raw offsets around their cells.
    if np.median(np.abs(centres)) < min(size) / 8:
        strides = size.strides_of(rows.shape[1])
        assert strides is not None  # as _fits_yolox says
        grids = [np.stack(np.meshgrid(np.arange(columns), np.arange(lines)), -1).reshape(-1, 2)
                 for lines, columns in size.cells(strides)]
        steps = np.concatenate([np.full((len(grid), 1), stride)
                                for grid, stride in zip(grids, strides)])
        centres = (centres + np.concatenate(grids)) * steps
        sizes = np.exp(sizes.clip(max=LARGEST_LOG)) * steps
    return _corners(centres, sizes), rows[..., 4] * rows[..., 5]


def _decode_yolov5(outputs: list[np.ndarray], size: Size) -> Found:
    rows, = outputs
    return _corners(rows[..., :2], rows[..., 2:4]), rows[..., 4] * rows[..., 5]


def _decode_yolov8(outputs: list[np.ndarray], size: Size) -> Found:
    rows = outputs[0].transpose(0, 2, 1)
    return _corners(rows[..., :2], rows[..., 2:4]), rows[..., 4]


def _decode_yolov10(outputs: list[np.ndarray], size: Size) -> Found:
    rows, = outputs
    return rows[..., :4], np.where(rows[..., 5].round() == 0, rows[..., 4], 0)


def _decode_dets(outputs: list[np.ndarray], size: Size) -> Found:
    rows, *labels = sorted(outputs, key=np.ndim, reverse=True)
    return rows[..., :4], np.where(labels[0] == 0, rows[..., 4], 0) if labels else rows[..., 4]


_ULTRALYTICS = dict(rgb=True, centred=True, std=(255., 255., 255.))
_MEGVII = dict(rgb=False, centred=False)
FAMILIES = {
    'yolox': Family('YOLOX', _fits_yolox, _decode_yolox, True, **_MEGVII, stem=12),
    'yolov5': Family('YOLOv5 or v7', _fits_yolov5, _decode_yolov5, True, **_ULTRALYTICS),
    'yolov8': Family('YOLOv8, v9 or 11', _fits_yolov8, _decode_yolov8, True, **_ULTRALYTICS),
    'yolov10': Family('YOLOv10, or a later one with NMS in the file', _fits_yolov10,
                      _decode_yolov10, False, **_ULTRALYTICS),
    'rtmdet': Family('RTMDet by MMDeploy', _fits_dets, _decode_dets, False, False, False, MEAN,
                     STD),
    'yolox-nms': Family('YOLOX by MMDeploy', _fits_dets, _decode_dets, False, **_MEGVII, stem=12),
}


def recognised(outputs: list[np.ndarray], size: Size, stem: Callable[[], int | None],
               named: str | None = None) -> str:
    """The name of the family that outputs are of.

    Args:
        outputs: For an input of one colour.
        size: Of the input.
        stem: Counts the channels that the file's first convolution takes, None if unknown; is
            asked where outputs alone do not tell.
        named: The family that somebody says it is.

    Raises:
        ValueError: If they fit none, several, or not the named one; says what was seen.
    """
    seen = (f'outputs {", ".join(str(output.shape) for output in outputs)} for images '
            f'{size.height}x{size.width}')
    fitting = [name for name, family in FAMILIES.items() if family.fits(outputs, size)]
    if named is not None:
        if named not in fitting:
            raise ValueError(f'{seen} are not those of {named}'
                             + (f', but of {" or ".join(fitting)}' if fitting else ''))
        fitting = [named]
    if not fitting:
        raise ValueError(f'{seen} are those of no detector that is known here: '
                         f'{", ".join(FAMILIES)}')
    if len(fitting) > 1:
        channels = stem()
        fitting = [name for name in fitting if channels in (None, FAMILIES[name].stem)] or fitting
    if len(fitting) > 1:
        raise ValueError(f'{seen} are those of {" and of ".join(fitting)}, which take different '
                         'images; name the family by --detector-family (in Python: family=...)')
    scores = FAMILIES[fitting[0]].decode(outputs, size)[1]
    if scores.size and not (RANGE[0] <= scores.min() and scores.max() <= RANGE[1]):
        raise ValueError(f'{seen} look like those of {fitting[0]}, but its scores are from '
                         f'{scores.min():.3g} to {scores.max():.3g}, expected 0 to 1')
    return fitting[0]
