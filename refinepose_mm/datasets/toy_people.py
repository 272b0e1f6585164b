"""`refinepose toy`: pictures of toy people with COCO keypoint annotations.

They stand in for COCO where none is at hand: 17 keypoints, visibility flags, boxes and areas are
exact, because the figures are drawn from them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
from mmengine.utils import track_iter_progress

from .toy_figure import KEYPOINTS, MAX_PARTS, Figure, random_figure

IMAGE_SIZE = (320, 240)  # width, height
DEMO_IMAGES = 8
DEMO_MARGIN = 8  # pixels around the person
SPLITS = ('train', 'val', 'demo')  # an image depends on its split and number alone
DEFAULT_ROOT = 'data/toy'
SPEC = 'toy_people.json'
VERSION = 1  # of the drawing; raise it with every change of the pictures
SKELETON = [(16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8),
            (7, 9), (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose toy`."""
    parser.add_argument('--output', help='folder to draw into; created, or drawn anew if it is '
                        f'ours; default: {DEFAULT_ROOT}')
    parser.add_argument('root', nargs='?', help=argparse.SUPPRESS)  # as in 0.1.0
    parser.add_argument('--train', type=int, default=1000, help='training images')
    parser.add_argument('--val', type=int, default=100, help='validation images')
    parser.add_argument('--seed', type=int, default=0)


def run(args: argparse.Namespace) -> int:
    """Draw, unless it is all there."""
    if args.root:
        print('refinepose toy FOLDER is deprecated; use --output FOLDER', file=sys.stderr)
    generate(Path(args.output or args.root or DEFAULT_ROOT), args.train, args.val, args.seed)
    return 0


def generate(root: Path, num_train: int, num_val: int, seed: int = 0) -> None:
    """Draw toy people in COCO's layout, unless the same ones are there already.

    Writes ``annotations/person_keypoints_{train,val}.json``, JPEG images of one to three persons
    in ``train/`` and ``val/``, and portraits of one person each, without annotations, in
    ``demo/``.

    Args:
        root: Folder to draw into.
        num_train: Number of training images.
        num_val: Number of validation images.
        seed: Seed of all randomness; the same seed gives the same pixels.

    Raises:
        ValueError: If a number of images is not positive.
        FileExistsError: If the folder holds anything that was not drawn here.
        OSError: If the folder cannot be written to.
    """
    root = Path(root)
    counts = dict(train=num_train, val=num_val, demo=DEMO_IMAGES)
    for split, count in counts.items():
        if count < 1:
            raise ValueError(f'at least one {split} image is needed, got {count}')
    if seed < 0:
        raise ValueError(f'the seed must be 0 or more, got {seed}')
    spec = dict(version=VERSION, seed=seed, counts=counts)
    marker = root / SPEC
    if root.exists() and not root.is_dir():
        raise FileExistsError(f'{root} is a file, expected a folder to draw toy people into')
    if marker.is_file():
        if _read_spec(marker) == spec:
            print(f'{root}: toy people are there already', flush=True)
            return
        for name in ('annotations', *SPLITS):
            shutil.rmtree(root / name, ignore_errors=True)
    elif root.is_dir() and any(root.iterdir()):
        raise FileExistsError(f'{root} is not empty and holds no toy people ({SPEC} is missing); '
                              'nothing was changed, name another folder')
    (root / 'annotations').mkdir(parents=True, exist_ok=True)
    marker.write_text('')  # ours, but not complete before its content is written
    for split in SPLITS:
        _draw_split(root, split, counts[split], seed)
    marker.write_text(json.dumps(spec))


def _draw_split(root: Path, split: str, count: int, seed: int) -> None:
    (root / split).mkdir()
    images, annotations = [], []
    print(f'{root / split}:', flush=True)
    for number in track_iter_progress(range(1, count + 1)):
        rng = np.random.default_rng([seed, SPLITS.index(split), number])
        persons = 1 if split == 'demo' else rng.choice([1, 2, 3], p=[.5, .35, .15])
        image, people = draw_scene(rng, persons)
        if split == 'demo':
            image = _portrait(image, people[0]['bbox'])
        path = root / split / f'{number:012d}.jpg'
        if not cv2.imwrite(str(path), image):
            raise OSError(f'cannot write {path}')
        images.append(dict(
            id=number, file_name=path.name, height=image.shape[0], width=image.shape[1]))
        for person in people:
            annotations.append(dict(id=len(annotations) + 1, image_id=number, **person))
    if split == 'demo':
        return
    category = dict(id=1, name='person', supercategory='person', keypoints=KEYPOINTS,
                    skeleton=SKELETON)
    (root / f'annotations/person_keypoints_{split}.json').write_text(json.dumps(dict(
        info=dict(description=f'toy people of refinepose_mm, seed {seed}'), licenses=[],
        images=images, annotations=annotations, categories=[category])))


def _read_spec(marker: Path) -> dict:
    """What was drawn beside the marker; empty if the drawing was not completed.

    Raises:
        FileExistsError: If it is no marker of ours, so that the folder may be somebody's.
    """
    try:
        spec = json.loads(marker.read_text(encoding='utf-8') or '{}')
    except ValueError:
        spec = None
    if not isinstance(spec, dict):
        raise FileExistsError(f'{marker} is not one of ours; nothing was changed, name another '
                              'folder')
    return spec


def _portrait(image: np.ndarray, box: list[int]) -> np.ndarray:
    """What a person detector would cut out."""
    x, y, width, height = box
    return image[max(0, y - DEMO_MARGIN):y + height + DEMO_MARGIN,
                 max(0, x - DEMO_MARGIN):x + width + DEMO_MARGIN]


def draw_scene(rng: np.random.Generator, persons: int) -> tuple[np.ndarray, list[dict]]:
    """Draw persons before a textured background, with things that hide some of them.

    Args:
        rng: Source of all randomness.
        persons: Number of persons; one alone fills the picture.

    Returns:
        The image (H, W, 3) in BGR, uint8, and one COCO annotation without ids for each person
        of whom anything is to be seen.
    """
    width, height = IMAGE_SIZE
    image = _background(rng)
    owners = np.zeros((height, width), np.int32)
    # A lone person may fill the picture; several stand side by side and may overlap.
    scales = np.sort(rng.uniform(.8, 1.05, 1) if persons == 1 else rng.uniform(.5, 1., persons))
    slots = rng.permutation(persons)
    figures: list[Figure] = []
    for number, (scale, slot) in enumerate(zip(scales, slots)):  # far to near
        centre = ((slot + .5) / persons + rng.normal(0, .05), rng.uniform(.44, .58))
        figure = random_figure(rng, scale * height, np.multiply(centre, IMAGE_SIZE))
        figure.paint(image, owners, number)
        figures.append(figure)
    for _ in range(rng.choice([0, 1, 2], p=[.75, .2, .05])):
        _paint_thing(rng, image, owners)
    image = _photograph(rng, image)
    people = [_annotate(figure, owners, number) for number, figure in enumerate(figures)
              if _mask(owners, number).any()]
    return image, people


def _annotate(figure: Figure, owners: np.ndarray, number: int) -> dict:
    """COCO's fields of one person; box and area are those of the pixels to be seen."""
    mask = _mask(owners, number)
    flags = figure.visibility(owners, number)
    keypoints = [[round(float(x), 2), round(float(y), 2), int(flag)] if flag else [0, 0, 0]
                 for (x, y), flag in zip(figure.keypoints, flags)]
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return dict(
        category_id=1, iscrowd=0, keypoints=sum(keypoints, []),
        num_keypoints=int((flags > 0).sum()),
        bbox=list(cv2.boundingRect(mask)), area=int(mask.sum()),
        segmentation=[contour.ravel().tolist() for contour in contours if len(contour) > 2])


def _mask(owners: np.ndarray, number: int) -> np.ndarray:
    first = number * MAX_PARTS + 1
    return ((owners >= first) & (owners < first + MAX_PARTS)).astype(np.uint8)


def _background(rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of several scales with walls, poles and furniture before it."""
    image = np.zeros((*IMAGE_SIZE[::-1], 3), np.float32)
    for cells in (2, 6, 20, 60):
        noise = rng.uniform(0, 255, (cells, cells, 1)) * .6 + rng.uniform(0, 100, (cells, cells, 3))
        image += cv2.resize(noise.astype(np.float32), IMAGE_SIZE, interpolation=cv2.INTER_CUBIC) / 4
    image = np.clip(image, 0, 255).astype(np.uint8)
    for _ in range(rng.integers(2, 9)):
        _paint_thing(rng, image)
    return image


def _paint_thing(rng: np.random.Generator, image: np.ndarray,
                 owners: np.ndarray | None = None) -> None:
    """A box, pole or ball; it takes the pixels under it from their owners."""
    centre = rng.uniform((0, 0), image.shape[1::-1])
    size = rng.uniform(8, 80, 2)
    if rng.random() < .3:  # round
        points = cv2.ellipse2Poly(centre.astype(int), size.astype(int) // 2, 0, 0, 360, 12)
    else:
        points = cv2.boxPoints((centre, size, rng.choice([0, rng.uniform(0, 90)])))
    points = points.astype(np.int32)
    cv2.fillPoly(image, [points], rng.uniform(0, 255, 3).tolist(), cv2.LINE_AA)
    if owners is not None:
        cv2.fillPoly(owners, [points], 0)


def _photograph(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Light, blur and noise of a camera."""
    image = image * rng.uniform(.7, 1.15)
    if rng.random() < .5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(.4, 1.1))
    image += rng.normal(0, rng.uniform(1, 8), image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)
