"""Boxes of persons from json: a table of file names or frame numbers, or COCO's detections."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Callable, NamedTuple

import numpy as np

from .predictor import MAX_COORDINATE

Report = Callable[[str, str, int], None]  # kind of problem, message, how often
LISTED = 20  # names in a message
PERSON = 1  # COCO's category


class Boxes(NamedTuple):
    """Boxes by image.

    Attributes:
        path: The file.
        table: Lists of (left, top, right, bottom), with a score behind if they are detections,
            by the names of images or, for detections, by their ids.
        detections: Whether they are detections: an image that has none is not in the table.
    """

    path: Path
    table: dict[str, list]
    detections: bool = False

    def of(self, name: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Boxes (N, 4) of an image and, for detections, their scores (N,)."""
        if not self.detections:
            return np.array(self.table.get(name, []), np.float32).reshape(-1, 4), None
        listed = next((self.table[key] for key in _ids(name) if key in self.table), [])
        rows = np.array(listed, np.float32).reshape(-1, 5)
        return rows[:, :4], rows[:, 4]

    def compare(self, names: list[str], report: Report) -> None:
        """Report images without an entry, and entries without an image.

        Args:
            names: Of all photos or frames.
            report: Is told.

        Raises:
            ValueError: If no name fits.
        """
        keys = {name: set(_ids(name)) if self.detections else {name} for name in names}
        missing = [name for name in names if not keys[name] & self.table.keys()]
        unknown = self.table.keys() - set().union(*keys.values())
        if len(missing) == len(names):
            raise ValueError(f'no boxes in {self.path} fit: it has {_listed(sorted(unknown))}, '
                             f'the images are {_listed(names)}')
        if missing and not self.detections:
            report('images without an entry in the boxes', f'{len(missing)} of {len(names)} images '
                   f'have no entry in {self.path}, so nobody was looked for: {_listed(missing)}',
                   len(missing))
        if unknown:
            report('entries without an image', f'{len(unknown)} of {len(self.table)} entries in '
                   f'{self.path} fit no image: {_listed(sorted(unknown))}', len(unknown))

    def require_frames(self) -> None:
        """Check, before a video is read, that some entry is a frame's number.

        Raises:
            ValueError: If none is.
        """
        if not any(re.fullmatch('0|[1-9][0-9]*', name) for name in self.table):
            raise ValueError(f'no boxes in {self.path} fit: frames are numbers from 0, it has '
                             f'names such as {next(iter(self.table), "none")}')

    def every(self, stride: int) -> Boxes:
        """The entries of every so many frames."""
        return self._replace(table={name: boxes for name, boxes in self.table.items()
                                    if not name.isdecimal() or int(name) % stride == 0})


def _ids(name: str) -> Iterator[str]:
    """What an image may be called in COCO's detections: its name or number, or parts of it.

    ``000000000785.jpg`` and ``COCO_val2014_000000000785.jpg`` are 785.
    """
    stem = PurePosixPath(name).stem
    yield from (name, PurePosixPath(name).name, stem)
    number = re.search('[0-9]+$', stem)
    if number:
        yield str(int(number.group()))


def read_boxes(path: Path, report: Report, threshold: float = 0) -> Boxes:
    """Boxes by file name or frame number.

    Args:
        path: json that maps names to lists of [left, top, right, bottom] in pixels, or COCO's
            list of detections: ``{"image_id", "category_id", "bbox", "score"}`` each.
        report: Is told of each box that is left out because it is none.
        threshold: Lowest score of a detection.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not json, or neither of both.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} not found')
    try:
        table = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is not json: {error}') from None
    except RecursionError:
        raise ValueError(f'{path} is nested too deeply, expected names and lists of boxes'
                         ) from None
    if isinstance(table, list) and table and isinstance(table[0], dict):
        return Boxes(path, _read_detections(table, path, report, threshold), detections=True)
    if not isinstance(table, dict) or {'images', 'annotations'} <= table.keys():
        kind = "COCO's annotations" if isinstance(table, dict) else f'a {type(table).__name__}'
        raise ValueError(f'{path} must map file names or frame numbers to lists of [left, top, '
                         f"right, bottom], or be COCO's list of detections; got {kind}")
    boxes: dict[str, list] = {}
    for name, listed in table.items():
        if not isinstance(listed, list):
            report('images with malformed boxes', f'{name} in {path}: expected a list of boxes, '
                   f'got {_shortened(listed)}', 1)
            listed = []
        boxes[name] = []
        for index, box in enumerate(listed):
            if _is_box(box):
                boxes[name].append(box)
            else:
                report('boxes left out', f'{name} in {path}: box {index} must be 4 numbers up to '
                       f'{MAX_COORDINATE:g} with left < right, top < bottom; got '
                       f'{_shortened(box)}', 1)
    return Boxes(path, boxes)


def _read_detections(detections: list, path: Path, report: Report,
                     threshold: float) -> dict[str, list]:
    """Persons among COCO's detections, with their scores, by the ids of images."""
    boxes: dict[str, list] = {}
    categories = set()
    for index, detection in enumerate(detections):
        fields = detection if isinstance(detection, dict) else {}
        box, score, name = (fields.get(key) for key in ('bbox', 'score', 'image_id'))
        if isinstance(box, list) and len(box) == 4 and all(map(_is_number, box)):
            box = [box[0], box[1], box[0] + box[2], box[1] + box[3]]
        if not (_is_box(box) and _is_number(score) and 0 <= score <= 1
                and type(name) in (int, str) and 'category_id' in fields):
            report('boxes left out', f'{path}: detection {index} must have image_id, category_id, '
                   'bbox with left, top, width > 0, height > 0, and score from 0 to 1; got '
                   f'{_shortened(detection)}', 1)
            continue
        categories.add(fields['category_id'])
        if fields['category_id'] == PERSON:
            kept = boxes.setdefault(str(name), [])
            if score >= threshold:
                kept.append([*box, score])
    if not boxes:
        raise ValueError(f'{path} has no person: expected detections of category_id {PERSON}, '
                         f'got {_listed(sorted(map(str, categories)))}')
    return boxes


def _is_number(value: Any) -> bool:
    # NaN and infinity fail the comparison, too.
    return type(value) in (int, float) and abs(value) <= MAX_COORDINATE


def _is_box(box: Any) -> bool:
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return False
    left, top, right, bottom = np.float32(box)  # as the predictor will see them
    return bool(left < right and top < bottom)


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'


def _listed(names: Collection[str]) -> str:
    some = ', '.join(list(names)[:LISTED])
    return f'{some}, ...' if len(names) > LISTED else some or 'none'
