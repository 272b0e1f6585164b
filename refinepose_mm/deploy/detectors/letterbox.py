"""Images of any size in the one size that a detector takes, and its boxes back in the image."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

PADDING = 114  # of YOLOX, RTMDet and Ultralytics' models alike


class Letterbox(NamedTuple):
    """Where the image lies in the input.

    Attributes:
        scale: (2, ), input pixels per image pixel, as (x, y).
        offset: (2, ), input pixels, as (x, y), of the image's upper left corner.
        size: (2, ), of the image in pixels, as (width, height).
    """

    scale: np.ndarray
    offset: np.ndarray
    size: np.ndarray

    def to_image(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) of the input in pixels of the image, cut off at its borders."""
        corners = (boxes.reshape(-1, 2, 2) - self.offset) / self.scale
        return corners.clip(0, self.size).reshape(-1, 4).astype(np.float32)


def letterbox(image: np.ndarray, height: int, width: int,
              centred: bool) -> tuple[np.ndarray, Letterbox]:
    """Scale an image into a size with its proportions kept; what is left over becomes grey.

    Args:
        image: (H, W, 3), uint8.
        height: Of the input, in pixels.
        width: Of the input, in pixels.
        centred: Put the image into the middle, else into the upper left corner.

    Returns:
        (height, width, 3), uint8, and where the image lies in it.
    """
    size = np.array(image.shape[1::-1])
    ratio = min(width / size[0], height / size[1])
    columns, rows = (max(1, round(float(side) * ratio)) for side in size)
    left = round((width - columns) / 2 - .1) if centred else 0
    top = round((height - rows) / 2 - .1) if centred else 0
    boxed = np.full((height, width, 3), PADDING, np.uint8)
    boxed[top:top + rows, left:left + columns] = cv2.resize(
        image, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return boxed, Letterbox(np.array([columns, rows]) / size, np.array([left, top]), size)
