"""Label Studio: JSON and JSON-MIN exports of rectangles and labelled keypoints.

Places are per cent of the photo. A keypoint belongs to the rectangle that its `parentID` names;
without one, to the smallest rectangle that holds it and lacks this joint. On a photo without
rectangles all keypoints are of one person, and the box is drawn around them.
"""

from __future__ import annotations

import math
import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import numpy as np

from .schema import Data, data_of

UPLOADED = re.compile(r'^[0-9a-f]{8}-')
MARGIN = .1  # of a box that is drawn around joints, of its size, at each side


class Region(NamedTuple):
    """A rectangle or a keypoint, in pixels.

    Attributes:
        id: Its own.
        parent: Of the region that it belongs to, or None.
        label: Its first one.
        box: Left, top, right, bottom, of a rectangle.
        point: x and y, of a keypoint.
        hidden: Whether it is marked as such.
    """

    id: str
    parent: str | None
    label: str
    box: list[float] | None
    point: tuple[float, float] | None
    hidden: bool


def read(path: Path, tasks: list, images: str | Path | None = None) -> Data:
    """Read the tasks of an export.

    Args:
        path: Of the export.
        tasks: Its content.
        images: Folder of the photos, where it is given: decides whether names of uploads have
            their prefix there.

    Raises:
        ValueError: If a task is none of Label Studio's, or nothing is labelled.
    """
    order = _labels_of(path.with_suffix('.xml'))
    photos: list[dict] = []
    found: list[tuple[int, str, list[float] | None, dict[str, Region]]] = []
    guessed: list[str] = []
    twice: list[str] = []
    predicted: list[str] = []
    names: list[str] = []
    for number, task in enumerate(tasks, 1):
        where = f'{path}, task {number}'
        if not isinstance(task, dict):
            raise ValueError(f'{where}: expected an object, got a {type(task).__name__}')
        source, results, from_model = _results(task, where)
        name = _file_name(source)
        names.append(name)
        if from_model:
            predicted.append(name)
        regions = [_region(result, where) for result in results]
        size = next(((int(result['original_width']), int(result['original_height']))
                     for result in results if result.get('original_width')), (None, None))
        photos.append(dict(id=number, file_name=name, width=size[0], height=size[1]))
        persons, doubt, lost = _persons([region for region in regions if region is not None])
        guessed += [name] * doubt
        twice += [f'{label} ({name})' for label in lost]
        found += [(number, *person) for person in persons]
    used = dict.fromkeys(label for _, _, _, joints in found for label in joints)
    labels = [*(label for label in order if label in used or not used),
              *(label for label in used if label not in order)]
    if not labels:
        raise ValueError(f'{path}: no task has keypointlabels')
    kinds = list(dict.fromkeys(kind for _, kind, _, _ in found))
    data = data_of(path, dict(images=photos, annotations=[
        _annotation(number, photo, kinds.index(kind) + 1, box, joints, labels)
        for number, (photo, kind, box, joints) in enumerate(found, 1)], categories=[
            dict(id=number, name=kind, keypoints=labels) for number, kind in enumerate(kinds, 1)]))
    _settle_names(data, images)
    drawn = [names[photo - 1] for photo, _, box, _ in found if box is None]
    data.remarks = [(text, which) for text, which in (
        ('photos have no annotations but predictions, which are taken', predicted),
        ('photos have no rectangle; the box is drawn around all joints', drawn),
        ('joints could belong to several rectangles; the smallest is taken', guessed),
        ('joints are there twice, and the first is taken', twice)) if which]
    return data


def _labels_of(path: Path) -> list[str]:
    """Names of keypoints in the labelling config beside the export, in its order."""
    if not path.is_file():
        return []
    try:
        root = ElementTree.parse(path)
    except ElementTree.ParseError as error:
        raise ValueError(f'{path} is not xml: {error}') from None
    return [str(label.get('value')) for labels in root.iter('KeyPointLabels')
            for label in labels.iter('Label')]


def _results(task: dict, where: str) -> tuple[str, list[dict], bool]:
    """The photo's address, the regions as JSON has them, and whether they are predictions."""
    if isinstance(task.get('data'), dict):
        done = [one for one in task.get('annotations') or task.get('completions') or []
                if not one.get('was_cancelled')]
        from_model = not done and bool(task.get('predictions'))
        chosen = done[-1:] or (task.get('predictions') or [])[-1:]
        return _address(task['data'], where), [
            result for one in chosen for result in one.get('result', [])], from_model
    results = []  # JSON-MIN: a list of values for each tag
    for values in task.values():
        for value in values if isinstance(values, list) else ():
            kind = next((kind for kind in ('rectanglelabels', 'keypointlabels')
                         if isinstance(value, dict) and kind in value), None)
            if kind:
                results.append(dict(value, type=kind, value=value))
    return _address(task, where), results, False


def _address(fields: dict, where: str) -> str:
    names = [name for name in ('image', 'img', *fields) if isinstance(fields.get(name), str)
             and re.search(r'\.(bmp|jpe?g|png|tiff?|webp)($|\?)', fields[name], re.IGNORECASE)]
    if not names:
        raise ValueError(f'{where}: no field has the address of a photo, such as image')
    return fields[names[0]]


def _file_name(address: str) -> str:
    """The path of a local file below Label Studio's folder, or the last part of an address."""
    parts = urlsplit(address)
    if 'local-files' in parts.path and parts.query.startswith('d='):
        return unquote(parts.query[2:]).lstrip('/')
    return PurePosixPath(unquote(parts.path)).name if parts.scheme or address.startswith(
        '/data/') else unquote(address)


def _region(result: dict, where: str) -> Region | None:
    """A rectangle or keypoint; None for other kinds of regions, and those without a label.

    Raises:
        ValueError: If a number is missing.
    """
    value, kind = result.get('value'), result.get('type')
    if kind not in ('rectanglelabels', 'keypointlabels') or not isinstance(value, dict):
        return None
    labels = value.get(kind)
    if not labels:
        return None
    try:
        scale = np.array([result['original_width'], result['original_height']], float) / 100
        corner = np.array([value['x'], value['y']], float) * scale
        box = point = None
        if kind == 'rectanglelabels':
            box = _upright(corner, np.array([value['width'], value['height']], float) * scale,
                           math.radians(value.get('rotation') or 0))
        else:
            point = corner[0], corner[1]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{where}: a region of {labels[0]} lacks a number: {error}') from None
    return Region(str(result.get('id')), result.get('parentID'), str(labels[0]), box, point,
                  bool(value.get('hidden')))


def _upright(corner: np.ndarray, size: np.ndarray, angle: float) -> list[float]:
    """The box around a rectangle that is turned about its first corner."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    corners = corner + np.array([[0, 0], [size[0], 0], size, [0, size[1]]]) @ turn.T
    return [*corners.min(0).tolist(), *corners.max(0).tolist()]


def _persons(regions: list[Region]
             ) -> tuple[list[tuple[str, list[float] | None, dict[str, Region]]], int, list[str]]:
    """Kind, box and joints of each person; how many joints were guessed, and which came twice."""
    boxes = [region for region in regions if region.box is not None]
    points = [region for region in regions if region.point is not None]
    joints: list[dict[str, Region]] = [{} for _ in boxes] if boxes else [{}]
    place = {region.id: number for number, region in enumerate(boxes)}
    guessed, lost = 0, []
    # Those that name their person come first: the others may only take what is left.
    for point in sorted(points, key=lambda point: point.parent not in place):
        if point.parent in place:
            owners = [place[point.parent]]
        elif boxes:
            owners = _holders(boxes, point)
            free = [owner for owner in owners if point.label not in joints[owner]]
            guessed += len(free) > 1
            owners = free or owners
        else:
            owners = [0]
        if not owners or point.label in joints[owners[0]]:
            lost.append(point.label)
            continue
        joints[owners[0]][point.label] = point
    if not boxes:
        return ([('object', None, joints[0])] if points else []), guessed, lost
    return [(box.label, box.box, own) for box, own in zip(boxes, joints)], guessed, lost


def _holders(boxes: list[Region], point: Region) -> list[int]:
    """Boxes that hold a point, the smallest first; if none does, the nearest."""
    assert point.point is not None
    x, y = point.point
    sizes, gaps = [], []
    for region in boxes:
        left, top, right, bottom = region.box or [0, 0, 0, 0]
        sizes.append((right - left) * (bottom - top))
        gaps.append(math.hypot(max(left - x, 0, x - right), max(top - y, 0, y - bottom)))
    holding = sorted((number for number, gap in enumerate(gaps) if gap == 0),
                     key=lambda number: sizes[number])
    return holding or [int(np.argmin(gaps))]


def _annotation(number: int, photo: int, kind: int, box: list[float] | None,
                joints: dict[str, Region], labels: list[str]) -> dict:
    points = np.zeros((len(labels), 3))
    for label, region in joints.items():
        points[labels.index(label)] = [*(region.point or (0, 0)), 1 if region.hidden else 2]
    if box is None:
        box = around(points)
    left, top, right, bottom = box
    return dict(id=number, image_id=photo, category_id=kind, iscrowd=0,
                bbox=[left, top, right - left, bottom - top],
                keypoints=[round(value, 3) for value in points.ravel().tolist()])


def around(points: np.ndarray) -> list[float]:
    """A box around labelled joints (K, 3), a tenth of its size larger at each side."""
    known = points[points[:, 2] > 0, :2]
    if not len(known):
        return [0., 0., 0., 0.]
    low, high = known.min(0), known.max(0)
    margin = MARGIN * np.maximum(high - low, 1)
    return [*(low - margin).tolist(), *(high + margin).tolist()]


def _settle_names(data: Data, images: str | Path | None) -> None:
    """Take the prefix of uploads off where the photos have their own names."""
    folder = Path(images) if images else data.path.resolve().parent
    for photo in data.photos:
        bare = UPLOADED.sub('', photo['file_name'])
        near = [folder, *(path for path in folder.glob('*') if path.is_dir())]
        if bare != photo['file_name'] and not any((place / photo['file_name']).is_file()
                                                  for place in near):
            photo['file_name'] = bare
