"""What is odd about annotations: a function for each subject, one finding for each fault."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .schema import Data, all_links, is_link, joint_lists

SHOWN = 3
IMAGE_FIELDS = ('id', 'file_name', 'width', 'height')
FAR = .5  # of the box: how far outside of it a joint may lie; COCO's own ones lie a little outside
SLACK = 1  # pixels that a box or a joint may lie outside of the photo
# What export tools make of file names.
UPLOAD = re.compile(r'^(https?|s3|gs)://|^/data/(upload|local-files)|^[0-9a-f]{8}-')
ROBOFLOW = re.compile(r'(.+)_(?:jpg|jpeg|png)\.rf\.[0-9A-Za-z]+\.\w+$')


class Finding(NamedTuple):
    """Something that people should look at.

    Attributes:
        kind: The subject, such as 'boxes'.
        text: What is so, as a sentence about ``names``.
        names: What it is so of.
        total: Of how many; 0 where that says nothing.
        note: Whether it is well, and only good to know.
    """

    kind: str
    text: str
    names: list[str]
    total: int = 0
    note: bool = False

    def __str__(self) -> str:
        count = f'{len(self.names)} of {self.total}: ' if self.total else ''
        shown = ', '.join(self.names[:SHOWN]) + (', ...' if self.names[SHOWN:] else '')
        return f'{self.kind:<15} {count}{self.text}' + (f': {shown}' if shown else '')


def annotation_findings(data: Data) -> Iterator[Finding]:
    """All that the json alone shows."""
    for text, names in data.remarks:
        yield Finding('export', text, names, note=True)
    for find in (schema, identities, boxes, areas, joints, visibility, habits):
        yield from find(data)


def schema(data: Data) -> Iterator[Finding]:
    """Categories, joints of the declared number, skeleton, fields of the images."""
    lists = joint_lists(data.categories)
    if not data.named:
        yield Finding('schema', 'no category has keypoints, the names of the joints', [])
    if len(lists) > 1:
        yield Finding('schema', 'categories have different joints; one model learns one list of '
                      'joints', [f'{", ".join(kinds)} ({len(names)})'
                                 for names, kinds in lists.items()])
    if lists:
        bare = [category for category in data.categories if not category.get('keypoints')]
        yield from _some('schema', 'categories have no joints', [
            str(category.get('name')) for category in bare], len(data.categories), note=True)
    counts = Counter(data.names) if data.named else {}
    yield from _some('schema', 'joints share a name', [
        name for name, count in counts.items() if count > 1], len(data.names))
    skeletons = [link for category in data.categories for link in all_links(category)]
    if not skeletons:
        yield Finding('schema', 'no category has a skeleton, the lines between joints', [])
    wrong = [link for link in skeletons if not is_link(link, len(data.names))]
    from_zero = any(isinstance(link, list) and 0 in link for link in wrong)
    yield from _some('schema', f'links of the skeleton name no two joints of 1 to '
                     f'{len(data.names)}' + (' (COCO counts them from 1)' if from_zero else ''),
                     map(str, wrong), len(skeletons))
    lengths = {index: len(person['keypoints']) for index, person in enumerate(data.persons)
               if isinstance(person.get('keypoints'), list)}
    yield from _persons(data, 'schema', 'annotations have no keypoints',
                        [index not in lengths for index in range(len(data.persons))])
    yield from _persons(data, 'schema', f'annotations have not 3 x {len(data.names)} numbers in '
                        'keypoints', [lengths.get(index, 3 * len(data.names))
                                      != 3 * len(data.names)
                                      for index in range(len(data.persons))])
    known = {repr(category.get('id')) for category in data.categories}
    yield from _persons(data, 'schema', 'annotations are of a category that is not listed',
                        [repr(person.get('category_id')) not in known for person in data.persons])
    yield from _persons(data, 'schema', 'annotations are of an image that is not listed',
                        data.photo_of < 0)
    for field in IMAGE_FIELDS:
        yield from _photos(data, 'schema', f'images have no {field}',
                           [photo.get(field) is None for photo in data.photos])
    empty = np.ones(len(data.photos), bool)
    empty[data.photo_of[data.photo_of >= 0]] = False
    yield from _photos(data, 'schema', 'images have no annotation', empty, note=True)


def identities(data: Data) -> Iterator[Finding]:
    """Ids and files that are there twice, and persons that are."""
    for what, rows in (('images', data.photos), ('annotations', data.persons)):
        ids = [row.get('id') for row in rows]
        yield from _some('duplicates', f'ids of {what} are used twice', [
            str(value) for value, count in Counter(map(repr, ids)).items() if count > 1], len(rows))
        yield from _some('schema', f'ids of {what} are no whole numbers', [
            repr(value) for value in ids if type(value) is not int], len(rows))
    files = Counter(data.file_name(index) for index in range(len(data.photos)))
    yield from _some('duplicates', 'files are listed twice', [
        name for name, count in files.items() if count > 1], len(data.photos))
    seen: set[tuple[int, bytes]] = set()
    twice = np.zeros(len(data.persons), bool)
    for index in np.flatnonzero(data.labelled.any(1)):
        key = int(data.photo_of[index]), data.joints[index].tobytes()
        twice[index] = key in seen
        seen.add(key)
    yield from _persons(data, 'duplicates', 'annotations repeat all joints of another one', twice)


def boxes(data: Data) -> Iterator[Finding]:
    """Boxes that are missing, empty, outside of the photo, or not around their joints."""
    missing = np.array([person.get('bbox') is None for person in data.persons], bool)
    broken = ~np.isfinite(data.boxes).all(1) & ~missing
    yield from _persons(data, 'boxes', 'annotations have no bbox', missing)
    yield from _persons(data, 'boxes', 'boxes are not 4 finite numbers', broken)
    yield from _persons(data, 'boxes', 'boxes have no width or no height',
                        ~missing & ~broken & ~data.sound_boxes)
    low, high, sound = data.boxes[:, :2], data.boxes[:, :2] + data.boxes[:, 2:], data.sound_boxes
    size = _photo_sizes(data)
    away = sound & ((high <= 0) | (low >= size)).any(1)
    over = sound & ~away & ((low < -SLACK) | (high > size + SLACK)).any(1)
    corners = _held(data, low, data.boxes[:, 2:]).mean() if sound.any() else 0
    inside = _held(data, low, high)
    looks_like_corners = inside[sound].size and corners > .9 and over[sound].mean() > .5
    hint = ('; bbox looks like two corners, COCO has left, top, width, height'
            if looks_like_corners else '')
    yield from _persons(data, 'boxes', 'boxes lie outside of the photo', away)
    yield from _persons(data, 'boxes', f'boxes reach over the edge of the photo{hint}', over)
    yield from _persons(data, 'boxes', 'boxes do not hold their joints', sound & ~away & ~inside)


def _held(data: Data, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(N,), whether all labelled joints lie in a box or near it."""
    slack = FAR * (high - low)
    outside = ((data.joints[..., :2] < (low - slack)[:, None])
               | (data.joints[..., :2] > (high + slack)[:, None])).any(-1)
    return ~(outside & data.labelled).any(1)


def areas(data: Data) -> Iterator[Finding]:
    """Areas, by which OKS scales; `refinepose new` computes those that are missing."""
    has_box = data.sound_boxes
    yield from _persons(data, 'areas', 'annotations have no area; `refinepose new` takes it from '
                        'the box', np.isnan(data.areas))
    yield from _persons(data, 'areas', 'areas are not above 0', data.areas <= 0)
    yield from _persons(data, 'areas', 'areas are larger than their box',
                        has_box & (data.areas > 1.01 * data.boxes[:, 2] * data.boxes[:, 3] + 1))


def joints(data: Data) -> Iterator[Finding]:
    """Joints that are nowhere, outside, at (0, 0), or not counted."""
    labelled, places = data.labelled, data.joints[..., :2]
    if len(data.persons) and not labelled.any():
        yield Finding('joints', 'no annotation has a labelled joint', [])
        return
    yield from _some('joints', 'joints are labelled in no annotation', [
        data.names[joint] or f'joint {joint + 1}'
        for joint in np.flatnonzero(~labelled.any(0))], len(data.names))
    whole = np.array([isinstance(person.get('keypoints'), list)
                      and len(person['keypoints']) == 3 * len(data.names)
                      for person in data.persons], bool)
    yield from _persons(data, 'joints', 'annotations have joints that are no numbers',
                        whole & ~np.isfinite(data.joints).all((1, 2)))
    size = _photo_sizes(data)[:, None]
    outside = labelled & ((places < -SLACK) | (places > size - 1 + SLACK)).any(-1)
    yield from _persons(data, 'joints', 'annotations have labelled joints outside of the photo',
                        outside.any(1))
    yield from _persons(data, 'joints', 'annotations have labelled joints at (0, 0)',
                        (labelled & (places == 0).all(-1)).any(1))
    first = places[np.arange(len(places)), labelled.argmax(1)][:, None] if len(places) else places
    one_place = (~labelled | (places == first).all(-1)).all(1) & (labelled.sum(1) > 2)
    yield from _persons(data, 'joints', 'annotations have all joints at one place', one_place)
    stated = [person.get('num_keypoints') for person in data.persons]
    yield from _persons(data, 'joints', 'annotations state another num_keypoints than they have', [
        count is not None and count != actual
        for count, actual in zip(stated, labelled.sum(1))])


def visibility(data: Data) -> Iterator[Finding]:
    """What v says; crowds and persons without joints."""
    flags, labelled = data.joints[..., 2], data.labelled
    odd = np.isfinite(flags) & ~np.isin(flags, (0, 1, 2))
    yield from _persons(data, 'visibility', 'annotations have v other than 0 (not labelled), 1 '
                        '(hidden) or 2 (visible)', odd.any(1))
    lost = (flags == 0) & (data.joints[..., :2] != 0).any(-1)
    yield from _persons(data, 'visibility', 'annotations have places of joints with v=0, which '
                        'training ignores; CVAT writes so what is outside', lost.any(1))
    kinds = set(np.unique(flags[labelled]))
    for value, word in ((1., 'hidden'), (2., 'visible')):
        if kinds == {value}:
            yield Finding('visibility', f'all labelled joints have v={value:.0f}, {word}',
                          [], note=True)
    yield from _persons(data, 'crowd', 'annotations are crowds, which training leaves out',
                        data.crowd, note=True)
    bare = np.array([isinstance(person.get('keypoints'), list) for person in data.persons], bool)
    if labelled.any():
        yield from _persons(data, 'joints', 'annotations have no labelled joint; training leaves '
                            'them out', bare & ~labelled.any(1), note=True)


def habits(data: Data) -> Iterator[Finding]:
    """Units and file names of other tools: YOLO, Label Studio, Roboflow, Windows."""
    if data.labelled.any():
        largest = np.abs(data.joints[..., :2][data.labelled]).max()
        width = np.nanmedian(data.sizes) if np.isfinite(data.sizes).any() else 0
        unit = ('shares of the photo, as YOLO has them' if largest <= 1.5 else
                'per cent of the photo, as Label Studio has them'
                if largest <= 100 and width > 200 else '')
        if unit and width > 10:
            yield Finding('units', f'no joint is beyond {largest:.4g}: places look like {unit}, '
                          'expected are pixels', [])
    names = [data.file_name(index) for index in range(len(data.photos))]
    yield from _photos(data, 'file names', 'are paths of an upload, as Label Studio exports them',
                       [bool(UPLOAD.search(name)) for name in names])
    yield from _photos(data, 'file names', 'have backslashes', ['\\' in name for name in names])
    versions = Counter(original(name) for name in names)
    yield from _some('duplicates', 'photos are there in several versions, as Roboflow exports '
                     'augmented ones', [name for name, count in versions.items()
                                        if count > 1 and name not in names], len(versions))


def original(name: str) -> str:
    """A file's name before Roboflow made versions of it."""
    found = ROBOFLOW.match(name)
    return found[1] if found else name


def _photo_sizes(data: Data) -> np.ndarray:
    """(N, 2), the size of each annotation's photo; infinite if it is unknown."""
    size = np.full((len(data.persons), 2), np.inf)
    known = data.photo_of >= 0
    size[known] = data.sizes[data.photo_of[known]]
    return np.where(np.isnan(size), np.inf, size)


def _persons(data: Data, kind: str, text: str, which: Any, note: bool = False
             ) -> Iterator[Finding]:
    yield from _some(kind, text, map(data.person_name, np.flatnonzero(which)), len(data.persons),
                     note)


def _photos(data: Data, kind: str, text: str, which: Any, note: bool = False
            ) -> Iterator[Finding]:
    yield from _some(kind, text, map(data.file_name, np.flatnonzero(which)), len(data.photos),
                     note)


def _some(kind: str, text: str, names: Iterable[str], total: int, note: bool = False
          ) -> Iterator[Finding]:
    """A finding if there is anything to name."""
    listed = list(names)
    if listed:
        yield Finding(kind, text, listed, total, note)
