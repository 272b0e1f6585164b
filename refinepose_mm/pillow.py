"""Photos opened by Pillow without its limit of pixels, which is below that of OpenCV and MMPose."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import BinaryIO

from PIL import Image

_LOCK = threading.Lock()


def open_photo(source: str | Path | BinaryIO) -> Image.Image:
    """``PIL.Image.open``, also for photos that Pillow takes for decompression bombs.

    It reads the header only; the caller judges the size before it decodes.
    """
    with _LOCK:  # the limit is a global of Pillow's
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(source)
        finally:
            Image.MAX_IMAGE_PIXELS = before
