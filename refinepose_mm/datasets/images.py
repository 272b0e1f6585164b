"""One reader for photos, for training, test, the inferencer and `refinepose predict`."""

from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import numpy as np
from mmengine.fileio import exists, get
from PIL import Image, ImageOps, UnidentifiedImageError

from ..pillow import open_photo

MAX_PIXELS = 2**30  # OpenCV's limit, and so MMPose's: 3 GiB once decoded
MAX_PIXELS_VARIABLE = 'REFINEPOSE_MAX_PIXELS'
BITS_PER_SAMPLE = 258  # a tag of TIFF
ORIENTATION = 274  # a tag of EXIF
END_OF_JPEG = b'\xff\xd9'


def read_image(path: str | Path, backend_args: dict | None = None) -> np.ndarray:
    """Read a photo completely, upright, in 8 bits.

    Pillow decodes, because it reports truncated files; OpenCV leaves their rest grey, so it gets
    only JPEGs that have their end, which it decodes faster. Pixels are those of ``cv2.imread``:
    16 bits become 8 by OpenCV, and an alpha channel is dropped. Of animations and pages the first
    is read.

    Args:
        path: A local file, or whatever mmengine's file backends read.
        backend_args: Arguments of such a backend.

    Returns:
        (H, W, 3), uint8, BGR, turned as the EXIF orientation says.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it is empty, truncated, of an unknown format or of more pixels than allowed,
            or if its pixels are float or 32-bit integers, whose range no file states. Names the
            file and the cause.
        ValueError: If ``REFINEPOSE_MAX_PIXELS`` is no positive integer.
    """
    path, limit = str(path), max_pixels()
    try:
        return _decode(get(path, backend_args), limit)
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error, ...
        if not exists(path, backend_args):
            raise FileNotFoundError(f'image file {path} does not exist') from None
        cause = str(error) or type(error).__name__
        raise OSError(f'image file {path} cannot be decoded: {cause}') from error


def max_pixels() -> int:
    """Most pixels that a photo may have: ``REFINEPOSE_MAX_PIXELS``, or 2**30.

    Raises:
        ValueError: If the variable is no positive integer.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE, str(MAX_PIXELS))
    if not text.isdecimal() or not int(text):
        raise ValueError(f'{MAX_PIXELS_VARIABLE} must be a positive integer, got {text!r}')
    return int(text)


def _decode(content: bytes, limit: int) -> np.ndarray:
    if not content:
        raise OSError('the file is empty')
    image = _open(content)
    pixels = image.width * image.height
    if pixels > limit:
        raise OSError(f'it has {image.width}x{image.height} pixels, more than {limit}; set '
                      f'{MAX_PIXELS_VARIABLE} to allow more')
    if (image.format == 'JPEG' and image.mode in ('L', 'RGB') and pixels <= MAX_PIXELS
            and content.endswith(END_OF_JPEG) and image.getexif().get(ORIENTATION, 1) == 1):
        return _by_opencv(content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    image.load()  # all of it: a truncated file ends here
    if image.mode == 'F' or (image.mode == 'I' and image.format == 'TIFF'):
        raise OSError('its pixels are float or 32-bit integers, of no stated range; convert it to '
                      '8 or 16 bits')
    if image.mode.startswith('I') or 16 in getattr(image, 'tag_v2', {}).get(BITS_PER_SAMPLE, ()):
        # Pillow clips 16-bit grey to white, OpenCV scales it (and turns the image, too).
        return _by_opencv(content, cv2.IMREAD_COLOR)
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode != 'RGB':
        image = image.convert('RGB')
    return cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR)


def _by_opencv(content: bytes, flags: int) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if image is None:
        raise OSError('OpenCV cannot read its pixels')
    return image


def _open(content: bytes) -> Image.Image:
    """Read the header."""
    try:
        return open_photo(io.BytesIO(content))
    except UnidentifiedImageError:
        raise OSError('its format is unknown, or its header is damaged') from None
