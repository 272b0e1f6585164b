"""Annotation files in COCO's format and detections for them, read once and summed up."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

PERSON = 1  # the only category of detections that MMPose reads
PERSONS = ('id', 'image_id', 'category_id')  # what reading an annotation needs
EVALUATION = ('id', 'image_id', 'category_id', 'bbox', 'keypoints')
IMAGES = ('id', 'file_name', 'width', 'height')
DETECTION = ('image_id', 'category_id', 'bbox', 'score')
LARGEST = 1e6  # pixels; OpenCV's warp fails far beyond
ODD = {  # field -> what it should be
    'bbox': f'4 numbers up to {LARGEST:g}',
    'keypoints': 'a list of finite numbers',
    'area': 'a finite number',
}


@dataclass
class Annotations:
    """What a COCO json holds.

    Attributes:
        path: Of the file.
        broken: Why it is none; the rest is empty then.
        lists: Which of images, annotations and categories it has.
        image_ids: Of all images.
        first_and_last: File names of the first and the last image.
        num_images: Number of images.
        num_annotations: Number of annotations.
        images_lacking: Field -> number of images without it.
        odd_images: Field -> number of images whose value MMPose cannot use.
        lacking: Field -> number of annotations without it.
        odd: Field -> number of annotations whose value is not what :data:`ODD` says.
        repeated: Number of annotations whose id an earlier one has.
        of_listed_category: Number of annotations whose category is listed.
        lengths: Length of an annotation's keypoints -> number of annotations.
        usable: Number of annotations that training can use: of a listed image, with a box and a
            labelled keypoint; no crowd.
    """

    path: str
    broken: str = ''
    lists: set[str] = field(default_factory=set)
    image_ids: set = field(default_factory=set)
    first_and_last: list[str] = field(default_factory=list)
    num_images: int = 0
    num_annotations: int = 0
    images_lacking: Counter[str] = field(default_factory=Counter)
    odd_images: Counter[str] = field(default_factory=Counter)
    lacking: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    of_listed_category: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    usable: int = 0

    def problems_as_images(self) -> list[str]:
        """What hinders reading the images."""
        if self.broken:
            return [self.broken]
        if 'images' not in self.lists:
            return [f'{self.path} has no images']
        problems = [f'{self.path}: {count} of {self.num_images} images have no {name}'
                    for name, count in self.images_lacking.items()]
        problems += [f'{self.path}: {count} of {self.num_images} images have {name} that is '
                     f'{"no integer" if name == "id" else "no positive number"}'
                     for name, count in self.odd_images.items()]
        repeated = self.num_images - len(self.image_ids)
        if repeated and not problems:
            problems.append(f'{self.path}: {repeated} of {self.num_images} images have the id of '
                            'another one')
        return problems or ([] if self.num_images else [f'{self.path} lists no images'])

    def problems_as_persons(self, num_keypoints: int | None) -> list[str]:
        """What hinders reading persons for training or for ground-truth boxes.

        Args:
            num_keypoints: What each of them should have; None if unknown.
        """
        if self.broken:
            return []
        if 'annotations' not in self.lists:
            return [f'{self.path} has no annotations']
        problems = self._lacking(PERSONS) + self._odd(('bbox', 'keypoints')) + self._repeated()
        if not self.usable and not problems:
            problems.append(f'{self.path}: none of {self.num_annotations} annotations has bbox, '
                            'labelled keypoints and an image that is listed')
        wrong = {length: count for length, count in self.lengths.items()
                 if num_keypoints is not None and length != 3 * num_keypoints}
        for length, count in wrong.items():
            problems.append(f'{self.path}: {count} of {self.num_annotations} annotations have '
                            f'{length} numbers in keypoints, expected 3 x {num_keypoints} of the '
                            'metainfo')
        return problems

    def problems_in_evaluation(self, use_area: bool) -> list[str]:
        """What CocoMetric trips over, at the end of the first validation.

        Args:
            use_area: Whether it takes a person's size from area.
        """
        if self.broken:
            return [self.broken]
        problems = [f'{self.path} has no {name}'
                    for name in ('images', 'annotations', 'categories') if name not in self.lists]
        problems += self._lacking(EVALUATION) + self._odd(('bbox', 'keypoints')) + self._repeated()
        if use_area:
            problems += [f'{line}, which CocoMetric needs unless use_area=False'
                         for line in self._lacking(('area', )) + self._odd(('area', ))]
        if self.num_annotations and not self.of_listed_category and not problems:
            problems.append(f'{self.path}: none of {self.num_annotations} annotations has the id '
                            'of a listed category as category_id')
        return problems

    def _odd(self, fields: tuple[str, ...]) -> list[str]:
        return [f'{self.path}: {self.odd[name]} of {self.num_annotations} annotations have '
                f'{name} that is not {ODD[name]}'
                for name in fields if self.odd[name]]

    def _repeated(self) -> list[str]:
        return [f'{self.path}: {self.repeated} of {self.num_annotations} annotations have the id '
                'of another one'] if self.repeated else []

    def _lacking(self, fields: tuple[str, ...]) -> list[str]:
        return [f'{self.path}: {self.lacking[name]} of {self.num_annotations} annotations have no '
                f'{name}' for name in fields if self.lacking[name]]


def read_annotations(path: str) -> Annotations:
    """Read a COCO json in one pass; what is wrong with it stands in the result."""
    content = read_json(path)
    if isinstance(content, str):
        return Annotations(path, broken=content)
    if not isinstance(content, dict):
        return Annotations(path, broken=f'{path} must be an object with images, annotations and '
                                        f'categories, got a {type(content).__name__}')
    found = Annotations(path)
    found.lists = {name for name in ('images', 'annotations', 'categories')
                   if is_table(content.get(name))}
    images = content['images'] if 'images' in found.lists else []
    annotations = content['annotations'] if 'annotations' in found.lists else []
    found.num_images, found.num_annotations = len(images), len(annotations)
    for image in images:
        found.images_lacking.update(name for name in IMAGES if name not in image)
        found.odd_images.update(name for name, fits in (
            ('id', isinstance(image.get('id', 0), int)),
            ('width', _is_size(image.get('width', 1))),
            ('height', _is_size(image.get('height', 1)))) if not fits)
    found.image_ids = {_hashable(image.get('id')) for image in images}
    found.first_and_last = [str(image['file_name']) for image in (*images[:1], *images[-1:])
                            if 'file_name' in image]
    categories = content['categories'] if 'categories' in found.lists else []
    listed = {_hashable(category.get('id')) for category in categories}
    seen = set()
    for annotation in annotations:
        found.lacking.update(
            name for name in (*EVALUATION, 'area') if annotation.get(name) is None)
        keypoints, box = annotation.get('keypoints'), annotation.get('bbox')
        found.odd.update(name for name, fits in (
            ('bbox', box is None or (_is_finite(box) and len(box) == 4)),
            ('keypoints', keypoints is None or _is_finite_list(keypoints)),
            ('area', annotation.get('area') is None or _is_finite_list([annotation['area']])),
        ) if not fits)
        number = _hashable(annotation.get('id'))
        found.repeated += number is not None and number in seen
        seen.add(number)
        found.of_listed_category += _hashable(annotation.get('category_id')) in listed
        if isinstance(keypoints, list):
            found.lengths[len(keypoints)] += 1
            found.usable += (_hashable(annotation.get('image_id')) in found.image_ids
                             and _has_area(box) and not annotation.get('iscrowd')
                             and annotation.get('num_keypoints', 1) != 0
                             and any(keypoints[2::3]))
    return found


def box_problems(path: str, ann_file: str, data: Annotations) -> list[str]:
    """What is wrong with a file of detections.

    Args:
        path: Of the detections.
        ann_file: Of the images that they should be of.
        data: What that holds.
    """
    boxes = read_json(path)
    if isinstance(boxes, str):
        return [boxes]
    if not is_table(boxes):
        return [f'bbox_file {path} must be a list of detections, each with '
                f'{", ".join(DETECTION)}']
    lacking = Counter(name for box in boxes for name in DETECTION if name not in box)
    problems = [f'bbox_file {path}: {count} of {len(boxes)} detections have no {name}'
                for name, count in lacking.items()]
    if problems:
        return problems
    persons = [box for box in boxes if box['category_id'] == PERSON]
    if not persons:
        others = sorted({str(box['category_id']) for box in boxes})
        problems.append(f'bbox_file {path}: none of {len(boxes)} detections is of category '
                        f'{PERSON}, person; got {", ".join(others[:5]) or "none"}')
    strangers = [box['image_id'] for box in persons
                 if _hashable(box['image_id']) not in data.image_ids]
    if strangers and data.image_ids:
        problems.append(f'bbox_file {path}: {len(strangers)} of {len(persons)} persons are in '
                        f'images that {ann_file} does not list, such as {strangers[0]}')
    wrong = sum(not _is_finite(box['bbox']) for box in persons)
    if wrong:
        problems.append(f'bbox_file {path}: {wrong} of {len(persons)} boxes are not 4 numbers '
                        f'up to {LARGEST:g}')
    unsure = sum(not _is_finite_list([box['score']]) for box in persons)
    if unsure:
        problems.append(f'bbox_file {path}: {unsure} of {len(persons)} scores are no finite '
                        'numbers')
    return problems


def read_json(path: str) -> Any:
    """The content of a file, or a string that says why it cannot be read."""
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        return f'{path} is not json: {(str(error) or type(error).__name__).splitlines()[0]}'
    return content if not isinstance(content, str) else f'{path} is not json of tables'


def is_table(value: object) -> bool:
    """Whether it is a list of objects."""
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _hashable(value: object) -> object:
    return value if isinstance(value, (int, str, float, type(None))) else repr(value)


def _is_finite(box: object) -> bool:
    return isinstance(box, list) and len(box) >= 4 and all(
        isinstance(value, (int, float)) and abs(value) <= LARGEST for value in box[:4])


def _is_finite_list(values: object) -> bool:
    """Whether all are finite numbers: a sum is quick, and shows NaN, infinity and other types."""
    try:
        return isinstance(values, list) and math.isfinite(sum(values))
    except (TypeError, OverflowError):
        return False


def _is_size(value: object) -> bool:
    return isinstance(value, (int, float)) and value > 0


def _has_area(box: Any) -> bool:
    return _is_finite(box) and box[2] > 0 and box[3] > 0
