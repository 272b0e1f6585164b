"""Boxes of persons from json: a table of file names or frame numbers."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Callable

import numpy as np

from .predictor import MAX_COORDINATE

Report = Callable[[str, str, int], None]  # kind of problem, message, how often
LISTED = 20  # names in a message


def read_boxes(path: Path | None, report: Report) -> dict[str, list] | None:
    """Boxes by file name or frame number; None stands for whole images.

    Args:
        path: json that maps names to lists of [left, top, right, bottom] in pixels.
        report: Is told of each box that is left out because it is none.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not json, or no such table.
    """
    if path is None:
        return None
    if not path.is_file():
        raise FileNotFoundError(f'{path} not found')
    try:
        table = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is not json: {error}') from None
    except RecursionError:
        raise ValueError(f'{path} is nested too deeply, expected names and lists of boxes'
                         ) from None
    if not isinstance(table, dict):
        raise ValueError(f'{path} must map file names or frame numbers to lists of [left, top, '
                         f'right, bottom], got a {type(table).__name__}')
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
    return boxes


def _is_box(box: Any) -> bool:
    if not isinstance(box, list) or len(box) != 4:
        return False
    # NaN and infinity fail the comparison, too.
    if not all(type(value) in (int, float) and abs(value) <= MAX_COORDINATE for value in box):
        return False
    left, top, right, bottom = np.float32(box)  # as the predictor will see them
    return bool(left < right and top < bottom)


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'


def compare_names(boxes: dict[str, list], names: list[str], path: Path, report: Report) -> None:
    """Report images without an entry in the table, and entries without an image.

    Args:
        boxes: The table; an empty list says that nobody is there.
        names: Of all photos or frames.
        path: Of the table.
        report: Is told.

    Raises:
        ValueError: If no name fits.
    """
    missing = [name for name in names if name not in boxes]
    unknown = boxes.keys() - set(names)
    if len(missing) == len(names):
        raise ValueError(f'no boxes in {path} fit: it has {_listed(unknown)}, the images are '
                         f'{_listed(names)}')
    if missing:
        report('images without an entry in the boxes', f'{len(missing)} of {len(names)} images '
               f'have no entry in {path}, so nobody was looked for: {_listed(missing)}',
               len(missing))
    if unknown:
        report('entries without an image', f'{len(unknown)} of {len(boxes)} entries in {path} fit '
               f'no image: {_listed(sorted(unknown))}', len(unknown))


def _listed(names: Collection[str]) -> str:
    some = ', '.join(list(names)[:LISTED])
    return f'{some}, ...' if len(names) > LISTED else some or 'none'
