"""Toy people who walk past each other, with the truth about where they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from refinepose_mm.datasets.toy_figure import Figure, random_figure

RATE = 25  # frames per second
MARGIN = .06  # around the keypoints, in heights


class Step(NamedTuple):
    """A frame: keypoints (N, 17, 2), boxes (N, 4), and the figures, far to near."""

    keypoints: np.ndarray
    boxes: np.ndarray
    figures: list[Figure]


def walk(rng: np.random.Generator, persons: int, frames: int, turning: bool = False,
         size: tuple[int, int] = (320, 240)) -> Iterator[Step]:
    """Persons who come from both sides and pass each other, or meet and go back; they sway.

    Args:
        rng: Source of all randomness.
        persons: How many.
        frames: How many; they need all of them for their way.
        turning: They turn in the middle.
        size: Width and height of the picture in pixels.
    """
    width, height = size
    seeds = rng.integers(0, 2**31, persons)
    heights = height * rng.uniform(.55, .75, persons)
    starts = rng.uniform(.05, .3, persons) * width
    ends = rng.uniform(.7, .95, persons) * width
    back = np.arange(persons) % 2 == 1
    starts[back], ends[back] = width - starts[back], width - ends[back]
    rows = height * rng.uniform(.48, .56, persons)
    sway, phase = rng.uniform(3, 9, persons), rng.uniform(0, 2 * np.pi, persons)
    order = rng.permutation(persons)  # who is in front does not depend on the side
    for number in range(frames):
        share = number / max(1, frames - 1)
        if turning:
            share = .55 * (1 - abs(1 - 2 * share))
        figures = []
        for person in order:
            centre = (starts[person] + share * (ends[person] - starts[person]), rows[person])
            figure = random_figure(np.random.default_rng(seeds[person]), heights[person], centre)
            turn = np.radians(sway[person] * np.sin(2 * np.pi * number / RATE + phase[person]))
            figures.append(_turned(figure, np.array(centre), turn))
        keypoints = np.stack([figure.keypoints for figure in figures])
        around = MARGIN * heights[order][:, None]
        boxes = np.concatenate([keypoints.min(1) - around, keypoints.max(1) + around], 1)
        yield Step(keypoints, boxes.clip(0, (width, height, width, height)), figures)


def _turned(figure: Figure, centre: np.ndarray, turn: float) -> Figure:
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])

    def moved(points: np.ndarray) -> np.ndarray:
        return (points - centre) @ rotation + centre

    return replace(figure, keypoints=moved(figure.keypoints), shapes=[
        shape._replace(outline=moved(shape.outline)) for shape in figure.shapes])


def paint(step: Step, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """The picture (H, W, 3), BGR, uint8."""
    width, height = size
    image = np.full((height, width, 3), 200, np.uint8)
    image[::16], image[:, ::16] = 180, 180
    owners = np.zeros((height, width), np.int32)
    for number, figure in enumerate(step.figures):
        figure.paint(image, owners, number)
    return image
