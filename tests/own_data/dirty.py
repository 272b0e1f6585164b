"""A small json of toy people, and ways in which people's own ones are odd."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Callable

from PIL import Image

from refinepose_mm.datasets import toy_people

DIRT: dict[str, tuple[Callable, str]] = {}


def toy_json(root: Path, split: str = 'train') -> Path:
    """The json of :func:`toy_people.generate`."""
    return root / f'annotations/person_keypoints_{split}.json'


def draw(root: Path, train: int = 36, val: int = 8) -> Path:
    """Draw toy people; two whose joints reach over the edge of the photo are mended."""
    toy_people.generate(root, num_train=train, num_val=val)
    for split in ('train', 'val'):
        path = toy_json(root, split)
        data = json.loads(path.read_text())
        sizes = {image['id']: (image['width'], image['height']) for image in data['images']}
        for person in data['annotations']:
            width, height = sizes[person['image_id']]
            points = person['keypoints']
            for x, y, v in zip(*[range(first, len(points), 3) for first in (0, 1, 2)]):
                if points[v] and not (0 <= points[x] < width and 0 <= points[y] < height):
                    points[x:v + 1] = [0, 0, 0]
            person['num_keypoints'] = sum(flag > 0 for flag in points[2::3])
        path.write_text(json.dumps(data))
    return root


def dirt(expected: str) -> Callable:
    """A way to make a json odd, and words of the finding that must name it."""
    def register(function: Callable) -> Callable:
        DIRT[function.__name__] = function, expected
        return function
    return register


def person(data: dict) -> dict:
    """One with all its joints, or nearly."""
    return max(data['annotations'], key=lambda one: one['num_keypoints'])


@dirt('ids of images are used twice')
def image_id_twice(data, images):
    data['images'][1]['id'] = data['images'][0]['id']


@dirt('ids of annotations are used twice')
def annotation_id_twice(data, images):
    data['annotations'][1]['id'] = data['annotations'][0]['id']


@dirt('ids of images are no whole numbers')
def ids_as_text(data, images):
    for image in data['images']:
        image['id'] = str(image['id'])
    for one in data['annotations']:
        one['image_id'] = str(one['image_id'])


@dirt('repeat all joints of another one')
def person_twice(data, images):
    data['annotations'].append(dict(data['annotations'][0], id=9999))


@dirt('files are listed twice')
def file_twice(data, images):
    data['images'].append(dict(data['images'][0], id=9999))


@dirt('photos look like another one')
def photo_under_two_names(data, images):
    with Image.open(images / data['images'][0]['file_name']) as photo:
        photo.resize((160, 120)).resize(photo.size).save(images / 'copy.jpg', quality=60)
    data['images'].append(dict(data['images'][0], id=9999, file_name='copy.jpg'))


@dirt('no category has keypoints')
def no_names(data, images):
    del data['categories'][0]['keypoints']


@dirt('categories have different joints')
def two_kinds_of_joints(data, images):
    data['categories'].append(dict(id=2, name='dog', keypoints=['nose', 'tail']))


@dirt('links of the skeleton name no two joints of 1 to 17 (COCO counts them from 1)')
def skeleton_from_zero(data, images):
    data['categories'][0]['skeleton'] = [[a - 1, b - 1]
                                         for a, b in data['categories'][0]['skeleton']]


@dirt('joints share a name')
def name_twice(data, images):
    data['categories'][0]['keypoints'][1] = 'nose'


@dirt('annotations have not 3 x 17 numbers in keypoints')
def joint_missing(data, images):
    person(data)['keypoints'] = person(data)['keypoints'][:-3]


@dirt('annotations have no keypoints')
def boxes_only(data, images):
    del person(data)['keypoints']


@dirt('annotations are of an image that is not listed')
def lost_image(data, images):
    data['annotations'][0]['image_id'] = 12345


@dirt('annotations are of a category that is not listed')
def lost_category(data, images):
    data['annotations'][0]['category_id'] = 7


@dirt('annotations have no bbox')
def no_box(data, images):
    del data['annotations'][0]['bbox']


@dirt('boxes have no width or no height')
def empty_box(data, images):
    data['annotations'][0]['bbox'][2] = 0


@dirt('boxes are not 4 finite numbers')
def box_of_nan(data, images):
    data['annotations'][0]['bbox'][0] = math.nan


@dirt('boxes lie outside of the photo')
def box_outside(data, images):
    data['annotations'][0]['bbox'][0] = 5000


@dirt('bbox looks like two corners')
def box_of_corners(data, images):
    for one in data['annotations']:
        x, y, width, height = one['bbox']
        one['bbox'] = [x, y, x + width, y + height]


@dirt('boxes do not hold their joints')
def box_elsewhere(data, images):
    one = person(data)
    one['bbox'] = [0, 0, 12, 12]


@dirt('annotations have no area')
def no_area(data, images):
    for one in data['annotations']:
        del one['area']


@dirt('areas are larger than their box')
def area_of_the_photo(data, images):
    data['annotations'][0]['area'] = 320 * 240


@dirt('joints are labelled in no annotation: left_ear')
def joint_never(data, images):
    for one in data['annotations']:
        one['keypoints'][9:12] = [0, 0, 0]
        one['num_keypoints'] = sum(flag > 0 for flag in one['keypoints'][2::3])


@dirt('v other than 0 (not labelled), 1')
def confidences(data, images):
    one = person(data)
    one['keypoints'] = [.9 if index % 3 == 2 and value else value
                        for index, value in enumerate(one['keypoints'])]


@dirt('places of joints with v=0')
def outside_as_cvat_writes_it(data, images):
    person(data)['keypoints'][0:3] = [12, 34, 0]
    person(data)['num_keypoints'] = sum(flag > 0 for flag in person(data)['keypoints'][2::3])


@dirt('labelled joints at (0, 0)')
def joint_at_zero(data, images):
    person(data)['keypoints'][0:3] = [0, 0, 2]
    person(data)['num_keypoints'] = sum(flag > 0 for flag in person(data)['keypoints'][2::3])


@dirt('labelled joints outside of the photo')
def joint_outside(data, images):
    one = person(data)
    index = next(index for index in range(2, 51, 3) if one['keypoints'][index])
    one['keypoints'][index - 2] = -40


@dirt('state another num_keypoints than they have')
def wrong_count(data, images):
    person(data)['num_keypoints'] = 3


@dirt('shares of the photo, as YOLO has them')
def yolo_units(data, images):
    for one in data['annotations']:
        one['keypoints'] = [value if index % 3 == 2 else value / (320, 240)[index % 3]
                            for index, value in enumerate(one['keypoints'])]


@dirt('per cent of the photo, as Label Studio has them')
def label_studio_units(data, images):
    for one in data['annotations']:
        one['keypoints'] = [value if index % 3 == 2 else 100 * value / (320, 240)[index % 3]
                            for index, value in enumerate(one['keypoints'])]


@dirt('files are not there')
def photo_missing(data, images):
    (images / data['images'][3]['file_name']).unlink()


@dirt('files cannot be read')
def photo_truncated(data, images):
    path = images / data['images'][3]['file_name']
    path.write_bytes(path.read_bytes()[:3000])


@dirt('files have another size than the json says')
def photo_of_another_size(data, images):
    path = images / data['images'][3]['file_name']
    with Image.open(path) as photo:
        photo.resize((160, 120)).save(path)


@dirt('turned by their EXIF orientation')
def photo_turned(data, images):
    path = images / data['images'][3]['file_name']
    with Image.open(path) as photo:
        exif = photo.getexif()
        exif[0x112] = 6
        photo.save(path, exif=exif)


@dirt('are paths of an upload, as Label Studio exports them')
def label_studio_paths(data, images):
    for image in data['images'][:5]:
        image['file_name'] = f'/data/upload/1/a1b2c3d4-{image["file_name"]}'


@dirt('in several versions, as Roboflow exports')
def roboflow_versions(data, images):
    for number, image in enumerate(data['images'][:2]):
        name = f'walk_jpg.rf.0123456789abcdef{number}.jpg'
        (images / image['file_name']).rename(images / name)
        image['file_name'] = name


@dirt('are their two names exchanged?: left_elbow - right_elbow')
def elbows_exchanged(data, images):
    names = data['categories'][0]['keypoints']
    left, right = names.index('left_elbow'), names.index('right_elbow')
    names[left], names[right] = names[right], names[left]


@dirt('joints name a side and have no partner: left_eye')
def partner_renamed(data, images):
    data['categories'][0]['keypoints'][2] = 'other_eye'
