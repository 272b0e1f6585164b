"""CVAT for images 1.1: skeletons of named points, as CVAT documents its xml.

The box of a skeleton is the rectangle of the same group; without one it is drawn around the joints.
A point that is outside is not labelled (v=0), one that is occluded is hidden (v=1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from .label_studio import around
from .schema import Data, data_of

EXPORT = 'export the task as "CVAT for images 1.1" or "COCO Keypoints 1.0"'
NODE = re.compile(r'data-node-(from|to|id)="(\d+)"')
NAME = re.compile(r'data-label-name="([^"]+)"')


def read(path: Path) -> Data:
    """Read an annotations.xml.

    Raises:
        ValueError: If it is none of CVAT's, of a video, or without skeletons.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f'{path} is not xml: {error}') from None
    if root.tag != 'annotations':
        raise ValueError(f'{path} is no xml of CVAT: its root is {root.tag}, expected annotations')
    if root.find('track') is not None:
        raise ValueError(f'{path} is "CVAT for video"; {EXPORT}')
    names, links = _labels(root)
    for skeleton in root.iter('skeleton'):  # an xml without its meta
        listed = names.setdefault(str(skeleton.get('label')), [])
        listed += [label for point in skeleton.iter('points')
                   if (label := str(point.get('label'))) not in listed]
    names = {kind: joints for kind, joints in names.items() if joints}
    if not names:
        raise ValueError(f'{path} has no skeletons, whose points have names; draw persons as '
                         f'skeletons, and {EXPORT}')
    kinds = list(names)
    photos: list[dict] = []
    persons: list[dict] = []
    drawn: list[str] = []
    loose: list[str] = []
    for image in root.iter('image'):
        name = str(image.get('name'))
        size = {side: int(_number(image, side, path)) for side in ('width', 'height')}
        photos.append(dict(id=len(photos) + 1, file_name=name, **size))
        boxes = {box.get('group_id'): [_number(box, side, path)
                                       for side in ('xtl', 'ytl', 'xbr', 'ybr')]
                 for box in image.findall('box') if box.get('group_id') not in (None, '0')}
        loose += [name for _ in image.findall('points')]
        for skeleton in image.findall('skeleton'):
            kind = str(skeleton.get('label'))
            points = _points(skeleton, names[kind], f'{path}, {name}')
            box = boxes.get(skeleton.get('group_id'))
            if box is None:
                box = around(points)
                drawn.append(name)
            left, top, right, bottom = box
            persons.append(dict(
                id=len(persons) + 1, image_id=len(photos), category_id=kinds.index(kind) + 1,
                iscrowd=0, bbox=[left, top, right - left, bottom - top],
                keypoints=points.ravel().tolist()))
    data = data_of(path, dict(images=photos, annotations=persons, categories=[
        dict(id=number, name=kind, keypoints=names[kind], skeleton=links.get(kind, []))
        for number, kind in enumerate(kinds, 1)]))
    data.remarks = [(text, which) for text, which in (
        ('skeletons have no rectangle of their group; the box is drawn around the joints', drawn),
        ('points are of no skeleton, and are left out', loose)) if which]
    return data


def _labels(root: ElementTree.Element) -> tuple[dict[str, list[str]], dict[str, list]]:
    """Joints and links of each kind of skeleton, by the meta data of a task or a project."""
    names: dict[str, list[str]] = {}
    links: dict[str, list] = {}
    for label in root.iterfind('meta//label'):
        kind, parent = label.findtext('name') or '', label.findtext('parent')
        if parent:
            names.setdefault(parent, []).append(kind)
        svg = label.findtext('svg') or ''
        if svg:
            links[kind] = list(_svg(svg))
    for kind, found in links.items():
        place = {name: number for number, name in enumerate(names.get(kind, []), 1)}
        links[kind] = [[place[start], place[end]] for start, end in found
                       if start in place and end in place]
    return names, links


def _svg(text: str) -> Iterator[tuple[str, str]]:
    """Names of the two joints of each edge of CVAT's picture of a skeleton."""
    nodes = {}
    for tag in re.findall('<circle[^>]*>', text):
        node, name = NODE.search(tag), NAME.search(tag)
        if node and name:
            nodes[node[2]] = name[1]
    for tag in re.findall('<line[^>]*>', text):
        ends = dict(NODE.findall(tag))
        if ends.get('from') in nodes and ends.get('to') in nodes:
            yield nodes[ends['from']], nodes[ends['to']]


def _points(skeleton: ElementTree.Element, names: list[str], where: str) -> np.ndarray:
    """(K, 3), x, y and v."""
    points = np.zeros((len(names), 3))
    for point in skeleton.iter('points'):
        label, text = str(point.get('label')), str(point.get('points'))
        if label not in names:
            raise ValueError(f'{where}: point {label} is not of {skeleton.get("label")}, which has '
                             f'{", ".join(names[:3])}, ...')
        if point.get('outside') == '1':
            continue
        try:
            x, y = map(float, text.split(','))
        except ValueError:
            raise ValueError(f'{where}: points of {label} must be x,y; got {text[:40]}') from None
        points[names.index(label)] = x, y, 1 if point.get('occluded') == '1' else 2
    return points


def _number(element: ElementTree.Element, name: str, path: Path) -> float:
    try:
        return float(element.get(name, ''))
    except ValueError:
        raise ValueError(f'{path}: {name} of a {element.tag} is {element.get(name)!r}, expected a '
                         'number') from None
