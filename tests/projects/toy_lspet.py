"""Toy people with the 14 joints of Leeds Sports Pose, in the layout of LSPET_ROOT."""

import json

import cv2
import numpy as np
from conftest import ROOT
from mmengine.config import Config

from refinepose_mm.datasets import toy_people

JOINTS = [joint[0] for joint in Config.fromfile(ROOT / 'projects/lspet/metainfo.py').joints]


def write_toy_lspet(root, **counts):
    """Draw as many persons as ``counts`` says for each split, one in each picture."""
    for split, count in counts.items():
        (root / split).mkdir(parents=True)
        images, annotations = [], []
        for number in range(1, count + 1):
            rng = np.random.default_rng([len(split), number])
            image, (person, ) = toy_people.draw_scene(rng, persons=1)
            cv2.imwrite(str(root / split / f'{number}.png'), image)
            height, width = image.shape[:2]
            images.append(dict(id=number, file_name=f'{number}.png', height=height, width=width))
            person['keypoints'] = lspet_joints(person['keypoints'])
            annotations.append(dict(person, id=number, image_id=number, num_keypoints=14))
        (root / f'lspet_{split}.json').write_text(json.dumps(dict(
            images=images, annotations=annotations,
            categories=[dict(id=1, name='person', keypoints=JOINTS)])))


def lspet_joints(coco):
    """LSP's 14 joints of COCO's 17, all labelled."""
    places = dict(zip(toy_people.KEYPOINTS, np.reshape(coco, (17, 3))[:, :2]))
    places['neck'] = (places['left_shoulder'] + places['right_shoulder']) / 2
    places['head_top'] = 2 * places['nose'] - places['neck']
    return [value for name in JOINTS for value in (*places[name].tolist(), 2)]
