"""One reader for photos, for training, test, the inferencer and `refinepose predict`."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
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
REDUCTIONS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
              8: cv2.IMREAD_REDUCED_COLOR_8}
# Orientation of EXIF -> what turns the photo upright. 1, and what is no orientation, does nothing.
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: partial(cv2.flip, flipCode=1), 3: partial(cv2.flip, flipCode=-1),
    4: partial(cv2.flip, flipCode=0), 5: cv2.transpose,
    6: partial(cv2.rotate, rotateCode=cv2.ROTATE_90_CLOCKWISE),
    7: lambda image: cv2.flip(cv2.transpose(image), -1),
    8: partial(cv2.rotate, rotateCode=cv2.ROTATE_90_COUNTERCLOCKWISE)}
LYING = (5, 6, 7, 8)  # orientations that exchange height and width


def read_image(path: str | Path, backend_args: dict | None = None) -> np.ndarray:
    """Read a photo completely, upright, in 8 bits.

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
    return EncodedImage(path, backend_args).decode()


class EncodedImage:
    """A photo that is read, but, if it is a JPEG, not yet decoded.

    Pillow decodes, because it reports truncated files; OpenCV leaves their rest grey, so it gets
    only JPEGs that have their end, which it decodes faster. Pixels are those of ``cv2.imread``:
    16 bits become 8 by OpenCV, and an alpha channel is dropped. Of animations and pages the first
    is read.

    Arguments and errors are those of :func:`read_image`.

    Attributes:
        shape: Height and width of the upright photo, in pixels.
    """

    def __init__(self, path: str | Path, backend_args: dict | None = None):
        self._path, self._backend_args = str(path), backend_args
        limit = max_pixels()
        with self._errors_for_people():
            self._content = get(self._path, backend_args)
            if not self._content:
                raise OSError('the file is empty')
            image = _open(self._content)
            width, height = image.size
            if width * height > limit:
                raise OSError(f'it has {width}x{height} pixels, more than {limit}; set '
                              f'{MAX_PIXELS_VARIABLE} to allow more')
            self._pixels: np.ndarray | None = None
            if (image.format == 'JPEG' and image.mode in ('L', 'RGB')
                    and width * height <= MAX_PIXELS and self._content.endswith(END_OF_JPEG)):
                self._orientation = image.getexif().get(ORIENTATION, 1)
                self.shape = (width, height) if self._orientation in LYING else (height, width)
            else:
                self._pixels = _decode(image, self._content)
                self.shape = self._pixels.shape[:2]

    def decode(self, reduction: int = 1) -> np.ndarray:
        """The pixels.

        Args:
            reduction: 1, 2, 4 or 8: the mean of so many pixels of each row and column becomes
                one. The decoder of JPEGs does it in less time than it takes for all pixels.

        Returns:
            (H / reduction, W / reduction, 3), rounded up, uint8, BGR, upright.
        """
        if self._pixels is not None:
            return _shrunk(self._pixels, reduction)
        # What is left over of the last rows and columns of a turned photo is not at their end.
        exact = self._orientation not in TURNS or not any(
            size % reduction for size in self.shape)
        flags = REDUCTIONS[reduction if exact else 1] | cv2.IMREAD_IGNORE_ORIENTATION
        with self._errors_for_people():
            image = _by_opencv(self._content, flags)
        image = TURNS.get(self._orientation, np.asarray)(image)
        return image if exact else _shrunk(image, reduction)

    @contextmanager
    def _errors_for_people(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error...
            if not exists(self._path, self._backend_args):
                raise FileNotFoundError(f'image file {self._path} does not exist') from None
            cause = str(error) or type(error).__name__
            raise OSError(f'image file {self._path} cannot be decoded: {cause}') from error


def max_pixels() -> int:
    """Most pixels that a photo may have: ``REFINEPOSE_MAX_PIXELS``, or 2**30.

    Raises:
        ValueError: If the variable is no positive integer.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE, str(MAX_PIXELS))
    if not text.isdecimal() or not int(text):
        raise ValueError(f'{MAX_PIXELS_VARIABLE} must be a positive integer, got {text!r}')
    return int(text)


def _decode(image: Image.Image, content: bytes) -> np.ndarray:
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


def _shrunk(image: np.ndarray, reduction: int) -> np.ndarray:
    """Means of so many pixels of each row and column, over the last ones as far as they go."""
    if reduction == 1:
        return image
    height, width = (-(-size // reduction) for size in image.shape[:2])
    whole = cv2.copyMakeBorder(
        image, 0, reduction * height - image.shape[0], 0, reduction * width - image.shape[1],
        cv2.BORDER_REPLICATE)
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


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
