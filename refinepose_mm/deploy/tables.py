"""Files for other programs, from the lines of ``predictions.jsonl``.

================  =======================  =======================================================
format            file                     for
================  =======================  =======================================================
``csv``           keypoints.csv            spreadsheets: a row for each person and keypoint
``coco-results``  coco_results.json        COCO's evaluation of keypoints
``coco``          coco_keypoints.json      CVAT and others: images and annotations as COCO has them
``label-studio``  label_studio.json, .xml  Label Studio: predictions of tasks, and their labels
================  =======================  =======================================================

Label Studio's own converter of COCO files drops the names of keypoints, hence the fourth format.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Callable, NamedTuple
from xml.sax.saxutils import quoteattr

from ..files import replacing
from .poses import COLUMNS, keypoint_rows

PERSON = 1  # COCO's category
LOCAL_FILES = '/data/local-files/?d='  # where Label Studio serves files of a folder
POINT_WIDTH = .5  # percent of the image


class Joints(NamedTuple):
    """Names of the K keypoints, and the pairs of them that are linked, from 0."""

    names: list[str]
    links: list[tuple[int, int]]


class Lines:
    """The entries of a ``predictions.jsonl``, read anew in each iteration.

    Args:
        path: The file; each line has ``name``, ``width``, ``height`` and ``persons``.
        joints: Of all persons.
        threshold: Keypoints with a lower score count as hidden.
    """

    def __init__(self, path: Path, joints: Joints, threshold: float):
        self.path, self.joints, self.threshold = path, joints, threshold

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with open(self.path, encoding='utf-8') as lines:
            yield from map(json.loads, lines)

    def images(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Pairs of image id and entry.

        The id is the number that the file's name is, as in COCO's own photos and in videos; if
        the names are not all different numbers, it is the place in the file, from 1.
        """
        stems = [PurePosixPath(entry['name']).stem for entry in self]
        numbers = list(map(int, stems)) if all(map(str.isdecimal, stems)) else []
        if len(set(numbers)) < len(stems):
            numbers = list(range(1, len(stems) + 1))
        return zip(numbers, self)


def _write_list(file: IO[str], items: Iterable[dict]) -> None:
    """A json list without holding it in memory."""
    file.write('[')
    for number, item in enumerate(items):
        file.write(f'{", " if number else ""}{json.dumps(item)}')
    file.write(']')


def _corner_and_size(box: list[float]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, round(right - left, 2), round(bottom - top, 2)]


def _write_csv(lines: Lines, path: Path) -> None:
    with open(path, 'w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['name', 'time', *COLUMNS])
        for entry in lines:
            for row in keypoint_rows(entry['persons']):
                writer.writerow([entry['name'], entry.get('time'), *row])


def _write_coco_results(lines: Lines, path: Path) -> None:
    def results() -> Iterator[dict]:
        for image_id, entry in lines.images():
            for person in entry['persons']:
                points = [value for point, score in zip(person['keypoints'], person['scores'])
                          for value in (*point, score)]
                yield dict(image_id=image_id, category_id=PERSON, keypoints=points,
                           score=person['score'], bbox=_corner_and_size(person['box']))

    with open(path, 'w', encoding='utf-8') as file:
        _write_list(file, results())


def _write_coco(lines: Lines, path: Path) -> None:
    def annotations() -> Iterator[dict]:
        number = 0
        for image_id, entry in lines.images():
            for person in entry['persons']:
                number += 1
                box = _corner_and_size(person['box'])
                points = [value for point, score in zip(person['keypoints'], person['scores'])
                          for value in (*point, 2 if score >= lines.threshold else 1)]
                annotation = dict(
                    id=number, image_id=image_id, category_id=PERSON, keypoints=points,
                    num_keypoints=len(person['scores']), bbox=box, area=round(box[2] * box[3], 2),
                    iscrowd=0, segmentation=[], score=person['score'])
                if 'identity' in person:
                    annotation['attributes'] = dict(track_id=person['identity'])
                yield annotation

    names, links = lines.joints
    category = dict(id=PERSON, name='person', supercategory='person', keypoints=names,
                    skeleton=[[first + 1, second + 1] for first, second in links])
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'{{"categories": {json.dumps([category])}, "images": ')
        _write_list(file, (
            dict(id=image_id, file_name=entry['name'], width=entry['width'],
                 height=entry['height']) for image_id, entry in lines.images()))
        file.write(', "annotations": ')
        _write_list(file, annotations())
        file.write('}')


def _write_label_studio(lines: Lines, path: Path) -> None:
    def task(entry: dict) -> dict:
        width, height = entry['width'], entry['height']
        results = []

        def add(kind: str, label: str, score: float, x: float, y: float, **value: Any) -> None:
            results.append(dict(
                id=f'{kind}{len(results)}', type=kind, from_name=kind, to_name='image',
                original_width=width, original_height=height, image_rotation=0, score=score,
                value=dict(x=100 * x / width, y=100 * y / height, **{kind: [label]}, **value)))

        for person in entry['persons']:
            left, top, *size = _corner_and_size(person['box'])
            add('rectanglelabels', 'person', person['score'], left, top, rotation=0,
                width=100 * size[0] / width, height=100 * size[1] / height)
            parent = results[-1]['id']
            for name, point, score in zip(*(person[k] for k in ('names', 'keypoints', 'scores'))):
                add('keypointlabels', name, score, *point, width=POINT_WIDTH)
                results[-1].update(parentID=parent)
                if score < lines.threshold:
                    results[-1]['value']['hidden'] = True
        scores = [person['score'] for person in entry['persons']]
        return dict(data=dict(image=LOCAL_FILES + entry['name']), predictions=[dict(
            model_version='refinepose_mm', score=min(scores, default=0), result=results)])

    with open(path, 'w', encoding='utf-8') as file:
        _write_list(file, map(task, lines))
    labels = '\n'.join(f'    <Label value={quoteattr(name)}/>' for name in lines.joints.names)
    path.with_suffix('.xml').write_text(f'''<View>
  <Image name="image" value="$image"/>
  <RectangleLabels name="rectanglelabels" toName="image">
    <Label value="person"/>
  </RectangleLabels>
  <KeyPointLabels name="keypointlabels" toName="image">
{labels}
  </KeyPointLabels>
</View>
''', encoding='utf-8')


class Table(NamedTuple):
    """A format: the files that it consists of, and the function that writes the first one."""

    files: tuple[str, ...]
    write: Callable[[Lines, Path], None]


FORMATS = {
    'csv': Table(('keypoints.csv', ), _write_csv),
    'coco-results': Table(('coco_results.json', ), _write_coco_results),
    'coco': Table(('coco_keypoints.json', ), _write_coco),
    'label-studio': Table(('label_studio.json', 'label_studio.xml'), _write_label_studio),
}


def write_table(kind: str, lines: Lines, folder: Path) -> None:
    """Write the file of a format, complete or not at all."""
    table = FORMATS[kind]
    with replacing(folder / table.files[0]) as temporary:
        table.write(lines, temporary)
