"""One toy person: an articulated body in space, projected and painted into an image.

Body axes: x to the person's left, y down, z to where the person faces; lengths in body heights.
Image axes: x right, y down, in pixels, and z towards the viewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

KEYPOINTS = ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder',
             'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
             'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle')
SIDES = dict(left=1, right=-1)
# The parts on whose surface a keypoint lies: it is visible where one of them is.
PARTS_OF = {
    **{name: ('head', ) for name in KEYPOINTS[:5]},
    **{f'{side}_{joint}': parts
       for side in SIDES
       for joint, parts in dict(
           shoulder=('torso', f'{side}_upper_arm'),
           elbow=(f'{side}_upper_arm', f'{side}_forearm'),
           wrist=(f'{side}_forearm', f'{side}_hand'),
           hip=('torso', f'{side}_thigh'),
           knee=(f'{side}_thigh', f'{side}_shin'),
           ankle=(f'{side}_shin', f'{side}_foot')).items()},
}
PARTS = ('neck', 'head', 'torso',
         *(f'{side}_{part}' for side in SIDES
           for part in ('upper_arm', 'forearm', 'hand', 'thigh', 'shin', 'foot')))
MAX_PARTS = 32  # room for the part index in the map of owners
HEAD = .08  # radius; toys have big heads
# A point of the head is seen while it lies this much, in radii, before the head's centre.
HORIZON = dict(nose=.1, eye=.1, ear=-.3)
SUBPIXEL_BITS = 4  # of cv2's polygon coordinates


class Shape(NamedTuple):
    """A convex patch of one colour: what it belongs to, how near it is, and its outline."""

    part: str
    nearness: float
    outline: np.ndarray
    colour: np.ndarray


class Clothes(NamedTuple):
    """Colours (BGR) of a person."""

    skin: np.ndarray
    hair: np.ndarray
    shirt: np.ndarray
    mark: np.ndarray
    trousers: np.ndarray
    shoes: np.ndarray
    sleeves: np.ndarray
    legs: np.ndarray


@dataclass
class Figure:
    """A person in the image.

    Attributes:
        keypoints: Pixel coordinates of the 17 COCO keypoints, (17, 2).
        hidden: Which keypoints the person's own head hides, (17,).
        shapes: What is painted, far to near.
    """

    keypoints: np.ndarray
    hidden: np.ndarray
    shapes: list[Shape]

    def paint(self, image: np.ndarray, owners: np.ndarray, number: int) -> None:
        """Paint the figure into an image (H, W, 3) and sign its pixels in a map (H, W)."""
        for shape in self.shapes:
            points = np.round(shape.outline * 2**SUBPIXEL_BITS).astype(np.int32)
            colour = shape.colour.tolist()
            cv2.fillPoly(image, [points], colour, cv2.LINE_AA, SUBPIXEL_BITS)
            cv2.polylines(image, [points], True, (shape.colour * .7).tolist(), 1, cv2.LINE_AA,
                          SUBPIXEL_BITS)
            cv2.fillPoly(owners, [points], owner_id(number, shape.part), cv2.LINE_8,
                         SUBPIXEL_BITS)

    def visibility(self, owners: np.ndarray, number: int) -> np.ndarray:
        """COCO's flags (17,): 0 not labelled, 1 hidden, 2 visible.

        As COCO's annotators do, points outside the image and those on the far side of the
        person's own head are left out; what something else hides is labelled.
        """
        flags = np.zeros(len(KEYPOINTS), int)
        height, width = owners.shape
        for index, (name, (x, y)) in enumerate(zip(KEYPOINTS, self.keypoints)):
            column, row = int(round(x)), int(round(y))
            if self.hidden[index] or not (0 <= column < width and 0 <= row < height):
                continue
            on_top = owners[row, column] in [owner_id(number, part) for part in PARTS_OF[name]]
            flags[index] = 2 if on_top else 1
        return flags


def owner_id(number: int, part: str) -> int:
    """What a part of figure `number` signs its pixels with; never 0, the background."""
    return number * MAX_PARTS + PARTS.index(part) + 1


def random_figure(rng: np.random.Generator, height: float, centre: tuple[float, float]) -> Figure:
    """A person of random build, pose, view and clothing.

    Args:
        rng: Source of all randomness.
        height: Standing height in pixels.
        centre: Where the middle of the projected body lies, in pixels (x, y).
    """
    joints, head_frame = _random_pose(rng)
    view = Rotation.from_euler('ZXY', [  # yaw first, then pitch, then roll in the image
        rng.normal(0, 8) if rng.random() < .98 else rng.uniform(-180, 180),
        rng.normal(0, 8),
        rng.choice([0., 180.], p=[.85, .15]) + rng.normal(0, 30),
    ], degrees=True)
    points = {name: view.apply(point) * height for name, point in joints.items()}
    flat = np.array([point[:2] for point in points.values()])
    points = {name: point + [*(centre - (flat.min(0) + flat.max(0)) / 2), 0]
              for name, point in points.items()}
    clothes = _random_clothes(rng)
    shapes = _body_shapes(rng, points, clothes, height)
    shapes += _head_shapes(points, view * head_frame, clothes, height)
    keypoints = np.array([points[name][:2] for name in KEYPOINTS])
    hidden = np.array([_behind_own_head(name, points, height) for name in KEYPOINTS])
    return Figure(keypoints, hidden, sorted(shapes, key=lambda shape: shape.nearness))


def _random_pose(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], Rotation]:
    """Joints in body axes, and the frame of the head."""
    def angles(*ranges):
        return [rng.uniform(*degrees) for degrees in ranges]

    def build():  # proportions vary between people
        return rng.uniform(.88, 1.12)

    torso = Rotation.from_euler('XZ', angles((-35, 10), (-15, 15)), degrees=True)
    head = torso * Rotation.from_euler('YX', angles((-45, 45), (-20, 20)), degrees=True)
    broad, long = build(), build()
    shoulder, hip = .115 * broad, .075 * broad
    lengths = dict(
        torso=.29 * build(), upper_arm=.165 * long, forearm=.145 * long, hand=.045,
        thigh=.235 * long, shin=.225 * long, foot=.09)
    neck = torso.apply([0, -lengths['torso'], 0])
    joints = dict(neck=neck, chest=torso.apply([0, -.75 * lengths['torso'], .05]))
    joints['head'] = neck + torso.apply([0, -.05 - HEAD, .01])
    joints['nose'] = joints['head'] + head.apply(np.multiply(HEAD, [0, .15, 1.1]))
    active = rng.uniform(.2, .9)  # from standing at ease to all limbs flying
    for side, sign in SIDES.items():
        joints[f'{side}_eye'] = joints['head'] + head.apply(
            np.multiply(HEAD, [.4 * sign, -.2, .85]))
        joints[f'{side}_ear'] = joints['head'] + head.apply(
            np.multiply(HEAD, [sign, 0, -.05]))

        arm = torso * Rotation.from_euler(
            'ZX', np.multiply(angles((5, 140), (-45, 100)), [-sign * active, active]), degrees=True)
        forearm = arm * Rotation.from_euler('YX', angles((-60, 60), (5, 110)), degrees=True)
        leg = Rotation.from_euler(
            'ZX', np.multiply(angles((2, 45), (-30, 90)), [-sign * active, active]), degrees=True)
        shin = leg * Rotation.from_euler('X', -rng.uniform(0, 100) * active, degrees=True)

        joints[f'{side}_shoulder'] = neck + torso.apply([sign * shoulder, .02, 0])
        joints[f'{side}_elbow'] = joints[f'{side}_shoulder'] + arm.apply(
            [0, lengths['upper_arm'], 0])
        joints[f'{side}_wrist'] = joints[f'{side}_elbow'] + forearm.apply(
            [0, lengths['forearm'], 0])
        joints[f'{side}_fingers'] = joints[f'{side}_wrist'] + forearm.apply(
            [0, lengths['hand'], 0])
        joints[f'{side}_hip'] = np.array([sign * hip, 0, 0])
        joints[f'{side}_knee'] = joints[f'{side}_hip'] + leg.apply([0, lengths['thigh'], 0])
        joints[f'{side}_ankle'] = joints[f'{side}_knee'] + shin.apply([0, lengths['shin'], 0])
        joints[f'{side}_toes'] = joints[f'{side}_ankle'] + shin.apply(
            [0, .3 * lengths['foot'], lengths['foot']])
    return joints, head


def _random_clothes(rng: np.random.Generator) -> Clothes:
    skin = np.array([135, 175, 225]) * rng.uniform(.35, 1.08)  # BGR
    colour = rng.uniform(15, 250, (5, 3))
    return Clothes(
        skin=skin, hair=colour[0] * .5, shirt=colour[1], mark=255 - colour[1],
        trousers=colour[2] * .8, shoes=colour[3] * .6,
        sleeves=colour[1] * .8 if rng.random() < .5 else skin,
        legs=colour[2] * .8 if rng.random() < .6 else skin)


def _body_shapes(rng: np.random.Generator, points: dict[str, np.ndarray], clothes: Clothes,
                 height: float) -> list[Shape]:
    """Torso and limbs."""
    stout = rng.uniform(1.1, 1.5) * height

    def limb(part, start, end, radii, colour):
        start, end = points[start], points[end]
        outline = _hull([start, end], np.multiply(radii, stout))
        return Shape(part, (start[2] + end[2]) / 2, outline, colour * rng.uniform(.9, 1.))

    shoulders, hips = ([points[f'{side}_{joint}'] for side in SIDES]
                       for joint in ('shoulder', 'hip'))
    trunk = np.mean([corner[2] for corner in shoulders + hips])
    on_top = .001 * height
    shapes = [
        limb('neck', 'neck', 'head', (.03, .03), clothes.skin * .9),
        Shape('torso', trunk, _hull(shoulders + hips, np.multiply((.035, .035, .045, .045), stout)),
              clothes.shirt),
        Shape('torso', trunk + on_top, _hull(hips, [.045 * stout] * 2), clothes.trousers),
    ]
    if points['chest'][2] > trunk:  # a mark that tells the front from the back
        shapes.append(Shape('torso', trunk + 2 * on_top,
                            _hull([points['chest']], [.035 * stout]), clothes.mark))
    for side in SIDES:
        def of(part, start, end, radii, colour, side=side):
            return limb(f'{side}_{part}', f'{side}_{start}', f'{side}_{end}', radii, colour)

        shapes += [
            of('upper_arm', 'shoulder', 'elbow', (.035, .027), clothes.shirt * .8),
            of('forearm', 'elbow', 'wrist', (.026, .019), clothes.sleeves),
            of('hand', 'wrist', 'fingers', (.018, .016), clothes.skin),
            of('thigh', 'hip', 'knee', (.048, .034), clothes.trousers),
            of('shin', 'knee', 'ankle', (.033, .022), clothes.legs),
            of('foot', 'ankle', 'toes', (.022, .02), clothes.shoes),
        ]
    return shapes


def _head_shapes(points: dict[str, np.ndarray], frame: Rotation, clothes: Clothes,
                 height: float) -> list[Shape]:
    """A ball, hair behind it and a face before it."""
    radius = HEAD * height
    head = points['head']

    def ball(centre, size, colour):
        return Shape('head', centre[2], _hull([centre], [size * radius]), colour)

    hair = head + frame.apply([0, -.3 * radius, -.45 * radius])
    shapes = [ball(head, 1., clothes.skin), ball(hair, .97, clothes.hair)]
    for name in KEYPOINTS[:5]:
        if not _behind_own_head(name, points, height):
            size, colour = ((.25, clothes.skin * .6) if name == 'nose' else
                            (.17, np.array([30., 20., 20.])) if name.endswith('eye') else
                            (.28, clothes.skin * .85))
            shapes.append(ball(points[name], size, colour))
    return shapes


def _behind_own_head(name: str, points: dict[str, np.ndarray], height: float) -> bool:
    horizon = HORIZON.get(name.split('_')[-1])
    if horizon is None:
        return False
    return points[name][2] - points['head'][2] < horizon * HEAD * height


def _hull(centres: list[np.ndarray], radii: Sequence[float]) -> np.ndarray:
    """Outline (P, 2) of the convex hull of discs."""
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    discs = [centre[:2] + radius * circle for centre, radius in zip(centres, radii)]
    return cv2.convexHull(np.concatenate(discs).astype(np.float32))[:, 0]
