"""What `auto` chooses: the size of the model and of its input, and how long it learns."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..models.shortcut_vit import resolve_arch
from .schema import Data

NARROW = 'narrow'  # what 'auto' takes on a CPU


class Row(NamedTuple):
    """How an arch is trained.

    Attributes:
        arch: As :class:`~refinepose_mm.models.shortcut_vit.ShortcutViT` takes it.
        pixels: Of the input, as many as these; the boxes decide the shape.
        batch: Persons of a step.
        lr: Learning rate.
        decay: Of the learning rate from block to block, for a pretrained encoder.
        drop_path: Stochastic depth of the last block.
        steps: Of a run without budget.
    """

    arch: str | dict
    pixels: int
    batch: int
    lr: float
    decay: float
    drop_path: float
    steps: int


TABLE = {
    # Measured: projects/real_photo_study, scales cpu and cpu_long, on 4,500 persons of
    # LSP-Extended. From scratch in batches of 32, 5e-3 is the best of five rates without a seed
    # that breaks down; PCK@0.1 is 43.7 after 1,700 steps (three seeds) and 54.5 after 5,000 (one
    # seed). A pretrained encoder with decay .75 reaches 43.3 after 1,700 (one seed).
    NARROW: Row(dict(embed_dims=96, num_layers=8, num_heads=3, feedforward_channels=384),
                96 * 96, 32, 5e-3, .75, 0., 5000),
    # The rate and the size of configs/refinepose_tiny_toy.py; measured on toy people alone.
    'tiny': Row('tiny', 128 * 96, 32, 4e-3, .75, 0., 5000),
    # The scale gpu of the study, which was not run: nothing from here on was measured.
    'small': Row('small', 256 * 192, 64, 1e-3, .8, .1, 7000),
    # ViTPose's rate for pretrained encoders, and its decays and drop paths.
    'base': Row('base', 256 * 192, 64, 5e-4, .75, .3, 7000),
    'large': Row('large', 256 * 192, 64, 5e-4, .8, .5, 7000),
    'huge': Row('huge', 256 * 192, 64, 5e-4, .85, .55, 7000),
}
# What starts as a whole RefinePose, by projects/few_shot: a fifth of the rate, and few epochs, for
# with more it forgets; but not fewer steps than these.
WHOLE_RATE = .2
WHOLE_EPOCHS, WHOLE_STEPS = 50, 100
# The study's: 200 steps were too few for some seeds, 500 for none.
WARM_UP = 500
WARM_UP_SHARE = .3  # of short runs at most; 500 of the study's 1,700 steps are as much
VALIDATIONS = 6  # in a run; the study's scales have as many
MOST_EPOCHS = 150  # from scratch; twice as many were no better for 200 persons (one seed)
START = 20  # seconds until the first step, on 2 cores
RESERVE = .1  # of a budget: other work of the machine, checkpoints
PATCH = 16


def choose(arch: str, has_gpu: bool) -> Row:
    """The row of an arch; 'auto' is small on a GPU, narrow without."""
    return TABLE[arch if arch != 'auto' else 'small' if has_gpu else NARROW]


def nearest(embed_dims: int, num_layers: int) -> Row:
    """How an encoder of other widths is trained: as the largest arch that is not larger."""
    def size(row: Row) -> int:
        widths = resolve_arch(row.arch)
        return widths.embed_dims**2 * widths.num_layers

    smaller = [row for row in TABLE.values() if size(row) <= embed_dims**2 * num_layers]
    return max(smaller or [TABLE[NARROW]], key=size)


def input_size(data: Data, pixels: int) -> tuple[int, int]:
    """Width and height of the input: the median shape of the boxes, in multiples of 16.

    No shape wastes less of the crops, as the median of the logarithm. It is kept within 1:2 and
    2:1.
    """
    boxes = data.boxes[data.usable]
    shape = float(np.clip(np.exp(np.median(np.log(boxes[:, 2] / boxes[:, 3]))), .5, 2.))
    width = max(2, round(math.sqrt(pixels * shape) / PATCH))
    height = max(2, round(math.sqrt(pixels / shape) / PATCH))
    return width * PATCH, height * PATCH


class Schedule(NamedTuple):
    """Epochs, epochs between validations, and steps of warm-up."""

    epochs: int
    interval: int
    warm_up: int


def schedule(epochs: float, steps_per_epoch: int) -> Schedule:
    """A schedule of so many epochs, at least one."""
    whole = max(1, int(epochs))
    return Schedule(whole, math.ceil(whole / VALIDATIONS),
                    min(WARM_UP, max(1, int(WARM_UP_SHARE * whole * steps_per_epoch))))


def most_epochs(steps_per_epoch: int, whole: bool) -> int:
    """More than these do no good, by whether a run starts as a whole RefinePose."""
    return max(WHOLE_EPOCHS, math.ceil(WHOLE_STEPS / steps_per_epoch)) if whole else MOST_EPOCHS


def usual_epochs(row: Row, steps_per_epoch: int, most: int) -> float:
    """Epochs of a run without budget: the steps of the table, at most so many epochs."""
    return min(most, math.ceil(row.steps / steps_per_epoch))


def affordable_epochs(budget: float, epoch: float, validation: float, most: int) -> float:
    """Epochs that a budget pays for, at most so many.

    Args:
        budget: Of the whole run, in seconds.
        epoch: Seconds of an epoch.
        validation: Seconds of a validation.
        most: Epochs.
    """
    left = budget * (1 - RESERVE) - START
    # With fewer epochs than validations, each epoch is followed by one.
    few = left / (epoch + validation)
    return few if few < VALIDATIONS else min(
        most, max(VALIDATIONS, (left - VALIDATIONS * validation) / epoch))
