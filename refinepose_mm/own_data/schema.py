"""A COCO keypoint json, read once into arrays; what does not fit into them stays visible as NaN."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..deploy.config import require_file
from ..engine.annotations import is_table, read_json

TABLES = ('images', 'annotations', 'categories')


@dataclass
class Data:
    """What a json holds: N annotations with K joints on P photos.

    Attributes:
        path: Of the json.
        photos: Its images, as they are.
        persons: Its annotations, as they are.
        categories: As they are.
        names: Of the joints; empty strings where no category names them.
        named: Whether a category names them.
        skeleton: Pairs of joints, counted from 0; links that do not exist are left out.
        photo_of: (N,), the place of each annotation's photo, -1 if it is not listed.
        boxes: (N, 4), left, top, width and height in pixels; NaN where they are no numbers.
        joints: (N, K, 3), x and y in pixels and v; NaN where they are no numbers or not 3 x K.
        areas: (N,), in square pixels; NaN where it is missing.
        sizes: (P, 2), width and height in pixels; NaN where they are missing.
        crowd: (N,), whether an annotation is a crowd.
        folder: Of the photos, where the format names it.
        pairs: Mirror partners, where the format names them.
        remarks: What was decided in reading another tool's export: text, and names of what it is
            so of.
    """

    path: Path
    photos: list[dict]
    persons: list[dict]
    categories: list[dict]
    names: list[str]
    named: bool
    skeleton: list[tuple[int, int]]
    photo_of: np.ndarray
    boxes: np.ndarray
    joints: np.ndarray
    areas: np.ndarray
    sizes: np.ndarray
    crowd: np.ndarray
    folder: Path | None = None
    pairs: list[tuple[int, int]] | None = None
    remarks: list[tuple[str, list[str]]] = field(default_factory=list)

    @property
    def labelled(self) -> np.ndarray:
        """(N, K), whether a joint has a place."""
        return (self.joints[..., 2] > 0) & np.isfinite(self.joints).all(-1)

    @property
    def sound_boxes(self) -> np.ndarray:
        """(N,), whether a box has numbers and an extent."""
        return np.isfinite(self.boxes).all(1) & (self.boxes[:, 2:] > 0).all(1)

    @property
    def usable(self) -> np.ndarray:
        """(N,), whether training can use a person: a photo, a box and a joint; no crowd."""
        return ((self.photo_of >= 0) & self.sound_boxes & ~self.crowd
                & self.labelled.any(1))

    def file_name(self, photo: int) -> str:
        """Of a photo, by its place; what the json says instead of one if it has none."""
        return str(self.photos[photo].get('file_name', f'image {self.photos[photo].get("id")}'))

    def person_name(self, person: int) -> str:
        """How people find an annotation: its id and its photo."""
        photo = self.photo_of[person]
        where = f' ({self.file_name(photo)})' if photo >= 0 else ''
        return f'{self.persons[person].get("id", f"number {person + 1}")}{where}'


def read_data(path: str | Path) -> Data:
    """Read a json.

    Raises:
        FileNotFoundError: If it does not exist.
        IsADirectoryError: If it is a folder.
        ValueError: If it is no json of images, annotations and categories.
    """
    require_file(path)
    content = read_json(str(path))
    if isinstance(content, str):
        raise ValueError(content)
    return data_of(path, content)


def data_of(path: str | Path, content: Any) -> Data:
    """The data of a json's content.

    Args:
        path: Where it came from.
        content: With images, annotations and categories.

    Raises:
        ValueError: If it has not.
    """
    missing = [name for name in TABLES
               if not isinstance(content, dict) or not is_table(content.get(name))]
    if missing:
        raise ValueError(f'{path} is no COCO json: it has no list of {", ".join(missing)}')
    photos, persons, categories = (content[name] for name in TABLES)
    names, named = _joint_names(persons, categories)
    place = {_key(photo.get('id')): index for index, photo in enumerate(photos)}
    return Data(
        Path(path), photos, persons, categories, names, named,
        links(categories, len(names)),
        np.array([place.get(_key(person.get('image_id')), -1) for person in persons], int),
        _table([person.get('bbox') for person in persons], 4),
        _table([person.get('keypoints') for person in persons],
               3 * len(names)).reshape(len(persons), len(names), 3),
        _table([[person.get('area')] for person in persons], 1)[:, 0],
        _table([[photo.get('width'), photo.get('height')] for photo in photos], 2),
        np.array([bool(person.get('iscrowd')) for person in persons], bool))


def joint_lists(categories: list[dict]) -> dict[tuple[str, ...], list[str]]:
    """Each list of joints, with the names of the categories that have it."""
    found: dict[tuple[str, ...], list[str]] = {}
    for category in categories:
        joints = category.get('keypoints')
        if isinstance(joints, list) and joints:
            found.setdefault(tuple(map(str, joints)), []).append(str(category.get('name')))
    return found


def links(categories: list[dict], num_joints: int) -> list[tuple[int, int]]:
    """The skeleton's pairs of joints that exist, counted from 0; COCO counts from 1."""
    found: dict[tuple[int, int], None] = {}
    for category in categories:
        for link in all_links(category):
            if is_link(link, num_joints):
                found[link[0] - 1, link[1] - 1] = None
    return list(found)


def all_links(category: dict) -> list[Any]:
    """A category's skeleton as it stands there."""
    skeleton = category.get('skeleton')
    return skeleton if isinstance(skeleton, list) else []


def is_link(link: Any, num_joints: int) -> bool:
    """Whether it is a pair of two joints, counted from 1."""
    return (isinstance(link, (list, tuple)) and len(link) == 2 and link[0] != link[1]
            and all(type(end) is int and 1 <= end <= num_joints for end in link))


def _joint_names(persons: list[dict], categories: list[dict]) -> tuple[list[str], bool]:
    """The joints of the category with most persons; their number alone if none names them."""
    lists = joint_lists(categories)
    if lists:
        used = Counter(_key(person.get('category_id')) for person in persons)
        best = max((category for category in categories
                    if tuple(map(str, category.get('keypoints') or ())) in lists),
                   key=lambda category: used[_key(category.get('id'))])
        return list(map(str, best['keypoints'])), True
    lengths = Counter(len(person['keypoints']) // 3 for person in persons
                      if isinstance(person.get('keypoints'), list))
    return [''] * (lengths.most_common(1)[0][0] if lengths else 0), False


def _table(rows: list[Any], width: int) -> np.ndarray:
    """(N, width), NaN where a row is no list of so many numbers."""
    table = np.full((len(rows), width), math.nan)
    for target, row in zip(table, rows):
        if isinstance(row, (list, tuple)) and len(row) == width:
            target[:] = list(map(_number, row))
    return table


def _number(value: Any) -> float:
    """The number, NaN for what is none or too large for one."""
    try:
        return float(value) if isinstance(value, (int, float)) else math.nan
    except OverflowError:  # json has integers of any length
        return math.nan


def _key(value: Any) -> Any:
    return value if isinstance(value, (int, float, str)) else repr(value)
