"""Convert a download of Leeds Sports Pose, `joints.mat` and `images/`, to COCO's format.

    python projects/lspet/convert.py lspet_dataset data/lspet --val 1000
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from mmengine.config import Config
from PIL import Image
from scipy.io import loadmat
from tqdm import tqdm

NUM_JOINTS = 14
# The box of the joints grows on each side by MARGIN of its longer side and MARGIN_PIXELS. A person
# fills FILLED of the box, about as COCO's masks do.
MARGIN, MARGIN_PIXELS, FILLED = .1, 4, .53
METAINFO = Config.fromfile(Path(__file__).parent / 'metainfo.py')
CATEGORY = dict(
    id=1, name='person', supercategory='person', keypoints=[j[0] for j in METAINFO.joints],
    skeleton=[[1 + [j[0] for j in METAINFO.joints].index(end) for end in limb[:2]]
              for limb in METAINFO.limbs])


def read_joints(path: Path) -> np.ndarray:
    """Joints of `joints.mat` as (N, 14, 3): x, y in pixels, 0-based, and COCO's visibility.

    LSP-Extended stores 14 x 3 x N; the third column is 0 where a joint is not labelled. LSP
    stores 3 x 14 x N; the third row is 1 where a joint is labelled but occluded.

    Raises:
        ValueError: If the file is no MAT file or its `joints` have neither shape.
    """
    joints = loadmat(path).get('joints', np.empty(0)).astype(float)
    if joints.shape[:2] == (NUM_JOINTS, 3):
        joints = joints.transpose(2, 0, 1)
        visibility = np.where(joints[..., 2] > 0, 2, 0)
    elif joints.shape[:2] == (3, NUM_JOINTS):
        joints = joints.transpose(2, 1, 0)
        visibility = np.where(joints[..., 2] > 0, 1, 2)
    else:
        raise ValueError(f'{path}: joints must be {NUM_JOINTS}x3xN (LSP-Extended) or '
                         f'3x{NUM_JOINTS}xN (LSP), got {joints.shape}')
    return np.dstack([joints[..., :2] - 1, visibility])  # Matlab counts pixels from 1


def annotate(joints: np.ndarray, number: int, image: Path) -> tuple[dict, dict]:
    """COCO's entries for the image with this number, from 1, and for the person in it."""
    with Image.open(image) as opened:
        width, height = opened.size
    labelled = joints[:, 2] > 0
    joints = np.where(labelled[:, None], joints, 0)
    found = joints[labelled, :2]
    margin = MARGIN * np.ptp(found, axis=0).max() + MARGIN_PIXELS
    low = np.clip(found.min(0) - margin, 0, [width, height])
    high = np.clip(found.max(0) + margin, 0, [width, height])
    box = np.concatenate([low, high - low]).round(2)
    return (
        dict(id=number, file_name=image.name, width=width, height=height),
        dict(id=number, image_id=number, category_id=1, iscrowd=0,
             num_keypoints=int(labelled.sum()), keypoints=joints.round(2).flatten().tolist(),
             bbox=box.tolist(), area=float((box[2] * box[3] * FILLED).round(2))))


def convert(source: Path, target: Path, num_val: int) -> None:
    """Write `lspet_train.json`, `lspet_val.json` (the last persons) and links to the images.

    Raises:
        FileExistsError: If the target has links to the images of another source.
        FileNotFoundError: If `joints.mat` or an image is missing.
        ValueError: If `joints.mat` has other content, or `num_val` leaves nothing to train on.
    """
    if not (source / 'joints.mat').is_file():
        raise FileNotFoundError(f'{source / "joints.mat"} not found; download and unpack LSP or '
                                'LSP-Extended first')
    all_joints = read_joints(source / 'joints.mat')
    if not 0 < num_val < len(all_joints):
        raise ValueError(f'--val must be from 1 to {len(all_joints) - 1}, got {num_val}')
    images = sorted((source / 'images').glob('im*.jpg'))
    if len(images) != len(all_joints):
        raise FileNotFoundError(f'{source / "joints.mat"} has joints for {len(all_joints)} images, '
                                f'{source / "images"} holds {len(images)} (im*.jpg)')
    entries = [annotate(joints, number, image) for number, (joints, image) in enumerate(
        tqdm(list(zip(all_joints, images))), start=1) if (joints[:, 2] > 0).sum() > 1]
    target.mkdir(parents=True, exist_ok=True)
    for split, part in (('train', entries[:-num_val]), ('val', entries[-num_val:])):
        folder = target / split
        if not folder.exists():
            folder.symlink_to((source / 'images').resolve())
        elif not folder.samefile(source / 'images'):
            raise FileExistsError(f'{folder} exists and is not {source / "images"}; name another '
                                  'target')
        described = dict(
            info=dict(description=f'Leeds Sports Pose, {split}'), categories=[CATEGORY],
            images=[image for image, _ in part], annotations=[person for _, person in part])
        (target / f'lspet_{split}.json').write_text(json.dumps(described))
        print(f'{target / f"lspet_{split}.json"}: {len(part)} persons')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', type=Path, help='folder with joints.mat and images/')
    parser.add_argument('target', type=Path, help='folder to write, for LSPET_ROOT')
    parser.add_argument('--val', type=int, default=1000, help='the last persons, to validate on')
    args = parser.parse_args()
    try:
        convert(args.source, args.target, args.val)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
