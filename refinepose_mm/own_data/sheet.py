"""A contact sheet: persons with box, joints and skeleton, and the same in a mirror.

In both pictures of a person the joints of one side must have one colour: the mirrored picture has
its joints exchanged as training would exchange them.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from ..datasets.images import read_image
from .schema import Data
from .symmetry import Pairs

PERSONS, COLUMNS = 12, 3
TILE, CAPTION, GAP, LEGEND = 300, 26, 12, 300  # pixels
SCENE = 1.3  # of the box, shown around it
NUMBERED = 40  # joints at most that have numbers in the pictures and names in the legend
MIDDLE, LEFT, RIGHT, BOX = (51, 153, 255), (0, 220, 70), (255, 128, 0), (255, 255, 0)
PAPER, INK = (255, 255, 255), (30, 30, 30)


def font(size: int) -> ImageFont.FreeTypeFont:
    """matplotlib's DejaVu Sans, which has the letters of many languages."""
    return ImageFont.truetype(f'{get_data_path()}/fonts/ttf/DejaVuSans.ttf', size)


def colours(num_joints: int, pairs: Pairs) -> list[tuple[int, int, int]]:
    """Of each joint, in RGB: left, right, or neither."""
    lefts, rights = ({pair[side] for pair in pairs.pairs} for side in (0, 1))
    return [LEFT if joint in lefts else RIGHT if joint in rights else MIDDLE
            for joint in range(num_joints)]


def choose(data: Data, count: int = PERSONS) -> list[int]:
    """Usable persons from all over the data, well labelled ones first."""
    usable = np.flatnonzero(data.usable)
    labelled = data.labelled[usable].sum(1)
    rich = usable[labelled >= np.median(labelled)] if len(usable) else usable
    return [int(part[len(part) // 2]) for part in np.array_split(rich, count) if len(part)]


def draw(data: Data, folder: Path, pairs: Pairs) -> Image.Image | None:
    """Draw the sheet; None if no photo of a usable person can be read."""
    chosen = [(person, picture) for person in choose(data)
              if (picture := _scene(data, folder, person)) is not None]
    if not chosen:
        return None
    rows = -(-len(chosen) // COLUMNS)
    width = GAP + min(len(chosen), COLUMNS) * (2 * TILE + GAP) + LEGEND
    height = max(GAP + rows * (TILE + CAPTION + GAP), _legend_height(data))
    sheet = Image.new('RGB', (width, height), PAPER)
    painter = ImageDraw.Draw(sheet)
    swaps = pairs.swaps(len(data.names))
    for number, (person, (scene, joints, box)) in enumerate(chosen):
        left = GAP + number % COLUMNS * (2 * TILE + GAP)
        top = GAP + number // COLUMNS * (TILE + CAPTION + GAP)
        painter.text((left, top + 2), _shortened(data.person_name(person)), INK, font(15))
        painter.text((left + TILE, top + 2), 'in a mirror', INK, font(15))
        labelled = data.labelled[person]
        mirrored = joints[swaps] * [-1, 1] + [TILE - 1, 0]
        for place, picture, points, known, edges in (
                (left, scene, joints, labelled, box),
                (left + TILE, np.ascontiguousarray(scene[:, ::-1]), mirrored, labelled[swaps],
                 [TILE - 1 - box[2], box[1], TILE - 1 - box[0], box[3]])):
            tile = Image.fromarray(picture)
            _paint(ImageDraw.Draw(tile), data, points, known, edges, pairs)
            sheet.paste(tile, (place, top + CAPTION))
    _write_legend(painter, data, pairs, width - LEGEND + GAP)
    return sheet


def _scene(data: Data, folder: Path, person: int
           ) -> tuple[np.ndarray, np.ndarray, list[float]] | None:
    """A tile (TILE, TILE, 3) in RGB, the joints (K, 2) in it, and the box: left, top, right,
    bottom. None if the photo cannot be read."""
    try:
        image = read_image(folder / data.file_name(int(data.photo_of[person])))
    except OSError:
        return None
    left, top, width, height = data.boxes[person]
    side = SCENE * max(width, height)
    scale = TILE / side
    corner = np.array([left + (width - side) / 2, top + (height - side) / 2])
    matrix = np.hstack([np.eye(2) * scale, -corner[:, None] * scale])
    shrinks = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    tile = cv2.warpAffine(image, matrix, (TILE, TILE), flags=shrinks, borderValue=(220, 220, 220))
    low = (np.array([left, top]) - corner) * scale
    high = low + np.array([width, height]) * scale
    return (cv2.cvtColor(tile, cv2.COLOR_BGR2RGB), (data.joints[person, :, :2] - corner) * scale,
            [*low, *high])


def _paint(painter: ImageDraw.ImageDraw, data: Data, joints: np.ndarray, known: np.ndarray,
           box: list[float], pairs: Pairs) -> None:
    """Box, skeleton, joints, and their numbers beside them."""
    shades = colours(len(data.names), pairs)
    painter.rectangle([box[0], box[1], box[2], box[3]], outline=BOX, width=2)
    for start, end in data.skeleton:
        if known[start] and known[end]:
            one_side = shades[start] == shades[end]
            painter.line([tuple(joints[start]), tuple(joints[end])],
                         shades[start] if one_side else MIDDLE, 3)
    radius = 4 if len(joints) <= NUMBERED else 2
    for joint in np.flatnonzero(known):
        x, y = joints[joint]
        painter.ellipse([x - radius, y - radius, x + radius, y + radius], shades[joint],
                        (0, 0, 0))
        if len(joints) <= NUMBERED:
            painter.text((x + radius + 1, y - 16), str(joint + 1), (255, 255, 255), font(13),
                         stroke_width=2, stroke_fill=(0, 0, 0))


def _legend_height(data: Data) -> int:
    return 2 * GAP + 22 * (min(len(data.names), NUMBERED) + 6)


def _write_legend(painter: ImageDraw.ImageDraw, data: Data, pairs: Pairs, left: int) -> None:
    """The number and the name of each joint, in its colour, and what the colours mean."""
    lines = [(BOX, 'box'), (LEFT, 'left'), (RIGHT, 'right'), (MIDDLE, 'neither')]
    lines += [(shade, f'{number} {name}'.strip()) for number, (shade, name) in enumerate(
        zip(colours(len(data.names), pairs), data.names), 1)][:NUMBERED]
    hidden = len(data.names) - NUMBERED
    lines += [(PAPER, f'and {hidden} more joints')] if hidden > 0 else []
    for row, (shade, text) in enumerate(lines):
        top = GAP + 22 * (row + (row > 3))
        painter.ellipse([left, top + 3, left + 12, top + 15], shade,
                        INK if shade != PAPER else PAPER)
        painter.text((left + 20, top), _shortened(text), INK, font(15))


def _shortened(text: str, length: int = 32) -> str:
    return text if len(text) <= length else f'{text[:length - 3]}...'
