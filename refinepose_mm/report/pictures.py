"""Persons as pictures: the truth, what was found, and the heatmaps, side by side."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import matplotlib
import numpy as np

from ..datasets.images import read_image
from .errors import GOOD, NAMES, NOT_LABELLED
from .table import Table

HEIGHT = 280  # pixels of a tile
NARROWEST, WIDEST = .5, 1.5  # its shape
QUALITY = 82  # of JPEG
GAP = 4
KIND_COLORS = {  # they differ in lightness, too, and none is a usual colour of left or right
    'good': '#1a9e77', 'jitter': '#f2c80f', 'inversion': '#a64dc4', 'swap': '#63b8f2',
    'miss': '#c1121f', 'not found': '#8a8a8a'}


class Picture(NamedTuple):
    """A picture of a person for the page.

    Attributes:
        source: Of an <img>: the JPEG itself.
        width: In pixels.
        height: In pixels.
        name: Of the person.
        caption: What to see.
    """

    source: str
    width: int
    height: int
    name: str
    caption: str


def pictures(table: Table, kind: np.ndarray, persons: Sequence[int], captions: Sequence[str],
             maps: np.ndarray | None = None, other: tuple[Table, np.ndarray] | None = None
             ) -> list[Picture]:
    """Draw persons: truth, prediction, and either heatmaps or another model's prediction.

    Args:
        table: Truth and predictions.
        kind: (N, K), the kind of each joint's error.
        persons: Annotated persons who were found.
        captions: Of each.
        maps: (n, K, h, w), their heatmaps.
        other: Another model's table and kinds.

    Raises:
        OSError: If a photo cannot be read.
    """
    drawn = []
    for number, (person, caption) in enumerate(zip(persons, captions)):
        path = table.images[table.truth.image[person]]
        assert path is not None  # somebody was found on it
        crop = _Crop(table, int(table.match[person]))
        photo = crop.cut(read_image(path))
        truth, flags = table.truth.joints[person], table.truth.flags[person]
        tiles = [_skeleton(photo, crop.places(truth), flags > 0, table, flags == 1)]
        for one, kinds in [(table, kind), *([other] if other else [])]:
            row = one.match[person]
            if row < 0:
                tiles.append(photo // 2)
                continue
            joints = crop.places(one.found.joints[row])
            shown = _wrongs(photo, joints, crop.places(truth), kinds[person])
            tiles.append(_skeleton(shown, joints, np.ones(len(joints), bool), one,
                                   np.zeros(len(joints), bool), kinds[person]))
        if maps is not None:
            tiles.append(_heat(photo, maps[number]))
        gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
        row_of_tiles = np.hstack([part for tile in tiles for part in (tile, gap)][:-1])
        coded, data = cv2.imencode('.jpg', row_of_tiles, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        assert coded
        text = base64.b64encode(data.tobytes()).decode()
        drawn.append(Picture(f'data:image/jpeg;base64,{text}', row_of_tiles.shape[1], HEIGHT,
                             table.person(person), caption))
    return drawn


class _Crop:
    """The part of a photo that the network saw, as a tile."""

    def __init__(self, table: Table, row: int):
        center, scale = table.found.centers[row], table.found.scales[row]
        shape = float(np.clip(scale[0] / scale[1], NARROWEST, WIDEST))
        self.size = (round(HEIGHT * shape), HEIGHT)
        self.low = center - scale / 2
        self.step = scale / (np.array(self.size) - 1)  # pixels of the photo to one of the tile

    def places(self, joints: np.ndarray) -> np.ndarray:
        """(K, 2), joints in the tile."""
        return (joints - self.low) / self.step

    def cut(self, image: np.ndarray) -> np.ndarray:
        matrix = np.hstack([np.diag(1 / self.step), -(self.low / self.step)[:, None]])
        shrinks = self.step.max() > 1
        # warpAffine takes single pixels; a photo much larger than its tile is averaged first.
        if self.step.max() > 2:
            blur = self.step.max() / 2
            image = cv2.GaussianBlur(image, (0, 0), blur)
        return cv2.warpAffine(image, matrix, self.size, borderValue=(128, 128, 128),
                              flags=cv2.INTER_LINEAR if shrinks else cv2.INTER_CUBIC)


def _point(place: np.ndarray) -> tuple[int, int]:
    x, y = np.clip(np.nan_to_num(place), -1e4, 1e4).round().astype(int).tolist()
    return x, y


def _bgr(color: Sequence[int]) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in color)
    return blue, green, red


def _skeleton(photo: np.ndarray, joints: np.ndarray, known: np.ndarray, table: Table,
              hollow: np.ndarray, kind: np.ndarray | None = None) -> np.ndarray:
    """Links and joints; those that are wrong have a ring in the colour of their kind."""
    tile = photo.copy()
    for (start, end), color in zip(table.joints.links, table.joints.link_colors):
        if known[start] and known[end]:
            cv2.line(tile, _point(joints[start]), _point(joints[end]), _bgr(color), 2, cv2.LINE_AA)
    radius = 3 if len(joints) <= 40 else 1
    for joint in np.flatnonzero(known):
        place = _point(joints[joint])
        color = _bgr(table.joints.colors[joint])
        cv2.circle(tile, place, radius, (255, 255, 255) if hollow[joint] else color, -1,
                   cv2.LINE_AA)
        cv2.circle(tile, place, radius, color if hollow[joint] else (0, 0, 0), 1, cv2.LINE_AA)
        if kind is not None and kind[joint] not in (GOOD, NOT_LABELLED):
            cv2.circle(tile, place, radius + 3, _kind_color(kind[joint]), 2, cv2.LINE_AA)
    return tile


def _wrongs(photo: np.ndarray, joints: np.ndarray, truth: np.ndarray, kind: np.ndarray
            ) -> np.ndarray:
    """A line from each wrong joint to its place."""
    tile = photo.copy()
    for joint in np.flatnonzero((kind != GOOD) & (kind != NOT_LABELLED)):
        color = _kind_color(kind[joint])
        cv2.line(tile, _point(joints[joint]), _point(truth[joint]), color, 1, cv2.LINE_AA)
        cv2.drawMarker(tile, _point(truth[joint]), color, cv2.MARKER_CROSS, 8, 2)
    return cv2.addWeighted(tile, .75, photo, .25, 0)


def _kind_color(kind: int) -> tuple[int, int, int]:
    code = KIND_COLORS[NAMES[kind]]
    return int(code[5:7], 16), int(code[3:5], 16), int(code[1:3], 16)


def _heat(photo: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The highest of the K maps at each place, over the photo in grey; 1 is the brightest."""
    height, width = photo.shape[:2]
    highest = np.clip(maps.max(0), 0, 1)
    # The first and last pixels of the map are those of the crop, as UDP has it.
    matrix = np.diag([(width - 1) / (highest.shape[1] - 1), (height - 1) / (highest.shape[0] - 1)])
    large = cv2.warpAffine(highest, np.hstack([matrix, np.zeros((2, 1))]), (width, height),
                           flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    glow = matplotlib.colormaps['inferno'](np.clip(large, 0, 1))[..., 2::-1] * 255
    weight = np.clip(large * 1.5, 0, .85)[..., None]
    return (grey * (1 - weight) * .75 + glow * weight).astype(np.uint8)
