"""YOLO-pose: a data.yaml, and a text file for each photo, as ultralytics documents them.

A line of a text file has the class, the box (centre, width, height) and K joints (x, y and, with
kpt_shape [K, 3], v), all in shares of the photo. The yaml may name the joints (`kpt_names`) and
their mirror partners (`flip_idx`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .photos import upright_size
from .schema import Data, data_of

PARTS = ('train', 'val', 'test')
PHOTOS = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
COCO_FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
SIDED = ('eye', 'ear', 'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
COCO_NAMES = ['nose', *(f'{side}_{part}' for part in SIDED for side in ('left', 'right'))]


def has_part(path: Path, part: str) -> bool:
    """Whether a data.yaml names photos of a part."""
    return bool(_load(path).get(part))


def read(path: Path, part: str = 'train') -> Data:
    """Read one part of a data.yaml.

    Raises:
        FileNotFoundError: If photos are not there.
        ValueError: If the yaml or a text file is not as documented; names the line.
    """
    content = _load(path)
    if not content.get(part):
        raise ValueError(f'{path} has no {part}')
    count, values = _shape(path, content)
    names = _names(path, content, count)
    classes = content.get('names') or ['object']
    classes = dict(enumerate(classes)) if isinstance(classes, list) else {
        int(number): name for number, name in classes.items()}
    root = _root(path, content)
    photos = [photo for source in _listed(content[part]) for photo in _photos(root, source)]
    if not photos:
        raise FileNotFoundError(f'no photos of {part} of {path} in {root}')
    images: list[dict] = []
    persons: list[dict] = []
    for photo in photos:
        size = upright_size(photo)
        width, height = size or (None, None)
        images.append(dict(id=len(images) + 1, file_name=_relative(photo, root), width=width,
                           height=height))
        labels = _labels(photo)
        if size is None or not labels.is_file():
            continue  # a broken photo is found later; one without a text file shows nobody
        for number, line in enumerate(labels.read_text(encoding='utf-8').splitlines(), 1):
            if line.strip():
                row = _row(line, 5 + count * values, f'{labels}, line {number}')
                if int(row[0]) not in classes:
                    raise ValueError(f'{labels}, line {number}: class {int(row[0])} is not among '
                                     f'the {len(classes)} of {path}')
                persons.append(_person(row, count, values, size, len(persons) + 1, len(images)))
    if not any(_labels(photo).is_file() for photo in photos):
        raise FileNotFoundError(f'no photo of {part} of {path} has a text file, such as '
                                f'{_labels(photos[0])}')
    pairs = _pairs(path, content, count)
    data = data_of(path, dict(images=images, annotations=persons, categories=[
        dict(id=number + 1, name=str(name), keypoints=names)
        for number, name in classes.items()]))
    data.folder, data.pairs = root, pairs
    if not content.get('kpt_names') and names != COCO_NAMES:
        data.remarks.append((f'{path.name} has no kpt_names, so joints are numbered', []))
    return data


def _load(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not yaml: {str(error).splitlines()[0]}') from None
    if not isinstance(content, dict):
        raise ValueError(f'{path} is no data.yaml: expected names and values, got a '
                         f'{type(content).__name__}')
    return content


def _shape(path: Path, content: dict) -> tuple[int, int]:
    shape = content.get('kpt_shape')
    if (not isinstance(shape, list) or len(shape) != 2 or type(shape[0]) is not int
            or shape[0] < 1 or shape[1] not in (2, 3)):
        raise ValueError(f'{path}: kpt_shape must be [joints, 2 or 3], got {shape}')
    return shape[0], shape[1]


def _names(path: Path, content: dict, count: int) -> list[str]:
    names = content.get('kpt_names')
    if isinstance(names, dict):  # a list for each class; they share their joints
        names = next(iter(names.values()), None)
    if names:
        if len(names) != count:
            raise ValueError(f'{path}: kpt_names has {len(names)} names, kpt_shape {count} joints')
        return list(map(str, names))
    if content.get('flip_idx') == COCO_FLIP:
        return COCO_NAMES
    return [f'joint_{number}' for number in range(1, count + 1)]


def _pairs(path: Path, content: dict, count: int) -> list[tuple[int, int]] | None:
    flip = content.get('flip_idx')
    if flip is None:
        return None
    if sorted(flip) != list(range(count)) or any(flip[flip[joint]] != joint
                                                 for joint in range(count)):
        raise ValueError(f'{path}: flip_idx must name the mirror partner of each of {count} '
                         f'joints, from 0; got {flip}')
    return [(joint, partner) for joint, partner in enumerate(flip) if joint < partner]


def _root(path: Path, content: dict) -> Path:
    """The folder of the data: `path` of the yaml, or the yaml's own if that is not there."""
    root = path.parent / str(content.get('path') or '.')
    return (root if root.is_dir() else path.parent).resolve()


def _listed(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _photos(root: Path, source: str) -> list[Path]:
    """The photos of a folder, or of a text file that lists them."""
    # Links stay links: labels/ lies beside the folder that the yaml names.
    place = Path(os.path.normpath(root / source))
    if not place.exists() and source.startswith('../'):  # as Roboflow writes them
        place = root / source[3:]
    if place.is_file():
        lines = place.read_text(encoding='utf-8').splitlines()
        return [Path(os.path.normpath(place.parent / line.strip())) for line in lines
                if line.strip()]
    if not place.is_dir():
        raise FileNotFoundError(f'folder of photos {place} not found')
    return sorted(photo for photo in place.rglob('*') if photo.suffix.lower() in PHOTOS)


def _labels(photo: Path) -> Path:
    """The text file of a photo: in labels/ in place of the last images/."""
    parts = list(photo.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == 'images':
            parts[place] = 'labels'
            break
    return Path(*parts).with_suffix('.txt')


def _relative(photo: Path, root: Path) -> str:
    return photo.relative_to(root).as_posix() if photo.is_relative_to(root) else str(photo)


def _row(line: str, columns: int, where: str) -> np.ndarray:
    words = line.split()
    if len(words) != columns:
        raise ValueError(f'{where}: expected {columns} numbers (class, box and joints), got '
                         f'{len(words)}')
    try:
        row = np.array(words, float)
    except ValueError:
        raise ValueError(f'{where}: {line.strip()[:60]} is not {columns} numbers') from None
    if not np.isfinite(row).all():
        raise ValueError(f'{where}: a number is not finite')
    return row


def _person(row: np.ndarray, count: int, values: int, size: tuple, number: int, image: int
            ) -> dict:
    """An annotation, in pixels; without v, a joint at (0, 0) is not labelled."""
    scale = np.array(size, float)
    center, extent = row[1:3] * scale, row[3:5] * scale
    joints = row[5:].reshape(count, values)
    flags = joints[:, 2] if values == 3 else np.where((joints != 0).any(1), 2, 0)
    points = np.column_stack([joints[:, :2] * scale * (flags > 0)[:, None], flags])
    return dict(id=number, image_id=image, category_id=int(row[0]) + 1, iscrowd=0,
                bbox=[*(center - extent / 2).tolist(), *extent.tolist()],
                keypoints=[round(value, 3) for value in points.ravel().tolist()])
