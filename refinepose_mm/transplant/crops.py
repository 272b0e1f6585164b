"""Crops of persons without labels: which ones a step sees depends on seed and step alone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from mmpose.structures.bbox import get_udp_warp_matrix
from torch import Tensor

from ..datasets.images import read_image
from ..deploy.boxes import read_boxes
from ..deploy.media import Photos

PADDING = 1.25  # of a box, as in MMPose's pipelines
HELD_OUT = .05  # of the photos, for the report
MOST_HELD_OUT = 64
SCALES = (.7, 1.4)
SHIFT = .08  # standard deviation, in sizes of the crop
ROTATION = 30.  # degrees, standard deviation of those that are rotated
ROTATED = .6  # share
CACHE = 2**29  # bytes of decoded photos that are kept


class Person(NamedTuple):
    """Where a person is.

    Attributes:
        photo: Its file.
        box: (left, top, width, height) in pixels; None for the whole photo.
    """

    photo: Path
    box: tuple[float, float, float, float] | None


class Crops:
    """Batches of crops.

    Args:
        persons: All of them.
        img_size: Height and width of a crop.
        seed: Of all randomness.

    Raises:
        ValueError: If there are fewer than two photos.
    """

    def __init__(self, persons: list[Person], img_size: tuple[int, int], seed: int):
        photos = sorted({person.photo for person in persons})
        if len(photos) < 2:
            raise ValueError(f'at least 2 photos with persons are needed, got {len(photos)}')
        self.img_size, self.seed = img_size, seed
        self._photos: dict[Path, np.ndarray] = {}
        self._room = CACHE
        order = np.random.default_rng(seed).permutation(len(photos))
        count = min(MOST_HELD_OUT, math.ceil(HELD_OUT * len(photos)))
        held_out = {photos[index] for index in order[:count]}
        self.held_out = [person for person in persons if person.photo in held_out][:MOST_HELD_OUT]
        self.persons = [person for person in persons if person.photo not in held_out]

    def batch(self, step: int, size: int) -> Tensor:
        """Randomly cropped persons of a step, (B, 3, H, W), float32, 0 to 255, BGR.

        Raises:
            OSError: If a photo cannot be read; names it.
        """
        rng = np.random.default_rng([self.seed, step])
        chosen = rng.integers(len(self.persons), size=size)
        return _stack([self._crop(self.persons[index], rng) for index in chosen])

    def held_out_batch(self) -> Tensor:
        """Persons of photos that no step sees, as prediction crops them."""
        return _stack([self._crop(person, None) for person in self.held_out])

    def _crop(self, person: Person, rng: np.random.Generator | None) -> np.ndarray:
        image = self._read(person.photo)
        left, top, width, height = person.box or (0, 0, image.shape[1], image.shape[0])
        rows, columns = self.img_size
        centre = np.array([left + width / 2, top + height / 2], np.float32)
        padding = PADDING if person.box else 1.
        longer = padding * max(width, height * columns / rows)
        scale = np.array([longer, longer * rows / columns], np.float32)
        angle = 0.
        if rng is not None:
            scale = scale * np.float32(rng.uniform(*SCALES))
            centre = centre + (SHIFT * rng.standard_normal(2) * scale).astype(np.float32)
            rotated, angle = rng.uniform() < ROTATED, ROTATION * rng.standard_normal()
            angle = angle if rotated else 0.
        warp = get_udp_warp_matrix(centre, scale, angle, output_size=(columns, rows))
        crop = cv2.warpAffine(image, warp, (columns, rows), flags=cv2.INTER_LINEAR)
        return crop[:, ::-1] if rng is not None and rng.uniform() < .5 else crop

    def _read(self, path: Path) -> np.ndarray:
        """A photo, kept while there is room: steps come back to it."""
        image = self._photos.get(path)
        if image is None:
            image = read_image(path)
            if image.nbytes <= self._room:
                self._photos[path] = image
                self._room -= image.nbytes
        return image


def _stack(crops: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float().contiguous()


def find_persons(folder: Path, boxes: Path | None) -> list[Person]:
    """The persons of a folder of photos.

    Args:
        folder: With photos, also in folders of it.
        boxes: json in COCO's format, whose labels are not looked at, or a file that `refinepose
            predict --boxes` takes. Without it, each photo is a person.

    Raises:
        OSError: If there are no photos or boxes.
        ValueError: If the boxes fit no photo.
    """
    photos = Photos(folder, recursive=True)
    paths = dict(zip(photos.names, photos.paths))
    if boxes is None:
        return [Person(path, None) for path in paths.values()]
    table = _of_coco(boxes)
    if table is None:
        corners = read_boxes(boxes, lambda kind, message, count: print(message))
        table = {name: [(left, top, right - left, bottom - top)
                        for left, top, right, bottom in corners.of(name)[0].tolist()]
                 for name in paths}
    persons = [Person(path, tuple(map(float, box))) for name, path in paths.items()
               for box in table.get(name, [])]
    if not persons:
        raise ValueError(f'no boxes in {boxes} fit the photos of {folder}, such as '
                         f'{photos.names[0]}')
    return persons


def _of_coco(path: Path) -> dict[str, list[tuple]] | None:
    """Boxes by file name from COCO's format; None if it is none."""
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        if not isinstance(content, dict) or not {'images', 'annotations'} <= content.keys():
            return None
    except (ValueError, RecursionError):
        return None  # the other reader says why
    try:
        names = {image['id']: image['file_name'] for image in content['images']}
        table: dict[str, list[tuple]] = {name: [] for name in names.values()}
        for person in content['annotations']:
            left, top, width, height = map(float, person['bbox'])
            if width > 0 and height > 0 and np.isfinite([left, top, width, height]).all():
                table[names[person['image_id']]].append((left, top, width, height))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path} is not in COCO\'s format: {type(error).__name__} {error}'
                         ) from None
    return table
