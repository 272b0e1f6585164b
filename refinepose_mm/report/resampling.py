"""Intervals by the bootstrap: how much a figure would differ on other photos of the same kind.

Whole images are drawn with replacement, as persons of one image are not independent. An interval is
that of the middle 95 per cent of the resampled figures (Efron & Tibshirani 1993, ch. 13).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .table import Table

SEED = 0
TIMES = 1000
SHARE = .95


class Figure(NamedTuple):
    """A figure and its interval.

    Attributes:
        value: On the images as they are.
        low: 2.5th percentile of the resampled ones; NaN where there is no interval.
        high: 97.5th percentile.
    """

    value: float
    low: float = np.nan
    high: float = np.nan


def draw(images: int, times: int = TIMES, seed: int = SEED) -> np.ndarray:
    """(B, I), how often each image was drawn, each time."""
    return np.random.default_rng(seed).multinomial(
        images, np.full(images, 1 / images), size=times).astype(np.float32)


def drawn_images(table: Table, times: int = TIMES, seed: int = SEED) -> np.ndarray:
    """(B, I), how often each image was drawn; only those with persons, who count or were found."""
    used = np.union1d(table.truth.image, table.found.image)
    counts = np.zeros((times, len(table.images)), np.float32)
    counts[:, used] = draw(len(used), times, seed)
    return counts


def figure(value: float, resampled: np.ndarray) -> Figure:
    """A figure with the interval of its resampled values (B,); NaN among them are left out."""
    finite = resampled[np.isfinite(resampled)]
    if not finite.size:
        return Figure(float(value))
    low, high = np.percentile(finite, [50 * (1 - SHARE), 50 * (1 + SHARE)])
    return Figure(float(value), float(low), float(high))


class Rates(NamedTuple):
    """Shares of hits, (G,), and the resampled ones, (B, G); NaN where nothing was counted."""

    values: np.ndarray
    resampled: np.ndarray

    def figures(self) -> list[Figure]:
        """Of each of the G groups."""
        return [figure(value, column) for value, column in zip(self.values, self.resampled.T)]


def rates(hits: np.ndarray, counted: np.ndarray, image: np.ndarray, drawn: np.ndarray) -> Rates:
    """Shares of hits among what counts.

    Args:
        hits: (N, G).
        counted: (N, G).
        image: (N,), places of the images.
        drawn: (B, I), of :func:`drawn_images`.
    """
    sums = np.zeros((2, drawn.shape[1], hits.shape[1]), np.float32)
    np.add.at(sums[0], image, hits & counted)
    np.add.at(sums[1], image, counted)
    with np.errstate(invalid='ignore', divide='ignore'):
        return Rates(sums[0].sum(0, dtype=float) / sums[1].sum(0, dtype=float),
                     (drawn @ sums[0]) / (drawn @ sums[1]))
