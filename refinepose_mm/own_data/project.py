"""The files of a project of one's own: joints, annotations, config and README, as text.

The config is written out in full, with the settings that all of our runs share from
configs/_base_/runtime.py. MMEngine inherits from other packages for those that it knows
(`mmpose::...`), and this is none of them; the folder works wherever the package is installed.
"""

from __future__ import annotations

import pprint
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from ..models.shortcut_vit import resolve_arch
from .photos import look
from .recipe import Row, Schedule
from .schema import Data
from .sheet import LEFT, MIDDLE, RIGHT
from .sigmas import Sigmas
from .symmetry import Pairs

FILLED = .53  # of its box: the area of a person, where the data has none; MMPose's number

METAINFO = Template('''"""The joints of $name: mirror partners (swap), skeleton, and sigmas.

Left and right are those of the names: $sides.
The sigmas of OKS are $sigma_origin.
"""
left, right, middle = $left, $right, $middle
joints = [  # name, its partner in a mirror, colour, sigma
$joints]
links = [  # two joints and the colour of the line between them
$links]

dataset_info = dict(
    dataset_name=$dataset_name,
    paper_info=dict(author='', title='', container='', year='', homepage=''),
    keypoint_info={
        index: dict(name=name, id=index, color=color, type='', swap=swap)
        for index, (name, swap, color, _) in enumerate(joints)
    },
    skeleton_info={
        index: dict(link=(start, end), id=index, color=color)
        for index, (start, end, color) in enumerate(links)
    },
    joint_weights=[1.] * len(joints),
    sigmas=[joint[-1] for joint in joints])
''')

CONFIG = Template('''"""RefinePose on $name: $num_joints joints, $num_train persons.

`refinepose new` has written this file. It is yours: read and change it.
"""
folder = r"""{{fileDirname}}"""  # three quotes: the path may hold one
train_images = $train_images
val_images = $val_images

# What every run of refinepose_mm shares.
$shared
# Data.
data_mode = 'topdown'
dataset_type = 'CocoDataset'
metainfo = dict(from_file=f'{folder}/metainfo.py')
codec = dict(
    type='BatchedUDPHeatmap', input_size=($width, $height), heatmap_size=($map_width, $map_height),
    sigma=$heatmap_sigma)
train_pipeline = [
    dict(type='LoadCompleteImage'),
    dict(type='GetBBoxCenterScale'),
$flip    dict(type='RandomBBoxTransform', scale_factor=(.75, 1.25), rotate_factor=60),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadCompleteImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(
    batch_size=$batch,
    num_workers=$workers,
    persistent_workers=True,
    worker_init_fn=dict(type='seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_mode=data_mode,
        metainfo=metainfo,
        ann_file=f'{folder}/train.json',
        data_prefix=dict(img=train_images),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=$batch,
    num_workers=$workers,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type=dataset_type,
        data_mode=data_mode,
        test_mode=True,
        metainfo=metainfo,
        ann_file=f'{folder}/val.json',
        data_prefix=dict(img=val_images),
        pipeline=val_pipeline))
test_dataloader = val_dataloader
# PCK: joints within a share of the longer side of the box.
val_evaluator = [
    dict(type='PCKAccuracy', thr=.05, norm_item='bbox', prefix='bbox@0.05'),
    dict(type='PCKAccuracy', thr=.1, norm_item='bbox', prefix='bbox@0.1'),
    dict(type='PCKAccuracy', thr=.2, norm_item='bbox', prefix='bbox@0.2'),
    dict(type='CocoMetric', ann_file=f'{folder}/val.json'),
]
test_evaluator = val_evaluator

# Model.
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='ShortcutViT',
        arch=$arch,
        img_size=($height, $width),
        shortcut=$shortcut,
        drop_path_rate=$drop_path,
        init_cfg=$init_cfg),
    head=dict(type='FusionHead', in_channels=$channels, out_channels=$num_joints, decoder=codec),
    test_cfg=dict(flip_test=$flip_test, flip_mode='heatmap', shift_heatmap=False))

# Schedule.
train_cfg = dict(by_epoch=True, max_epochs=$epochs, val_interval=$interval)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=$lr, weight_decay=.1),
    constructor='LayerWiseLRConstructor',
    paramwise_cfg=dict(layer_decay_rate=$decay),
    clip_grad=dict(max_norm=1., norm_type=2))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=$warm_up, start_factor=.01, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0, by_epoch=True, convert_to_iter_based=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=$batch)
randomness = dict(seed=0)
load_from = $load_from
default_hooks['checkpoint'].update(interval=$interval, save_best='coco/AP', rule='greater')
work_dir = f'{folder}/run'
''')
FLIP = "    dict(type='RandomFlip', direction='horizontal'),\n"
NO_FLIP = """\
    # No names of joints say left and right, so photos are not flipped. Where a mirror may, add:
    # dict(type='RandomFlip', direction='horizontal'), and flip_test=True below.
"""

README = Template('''# RefinePose on $name

$num_train persons to learn from, $num_val to validate on, $num_joints joints. The photos stay
where they are.

In this folder:

```bash
refinepose check config.py    # takes the first steps, says what the run needs
refinepose train config.py    # $expectation
refinepose test config.py run/epoch_$epochs.pth
refinepose report config.py run/epoch_$epochs.pth --output report    # open report/report.html
refinepose export config.py run/epoch_$epochs.pth --format onnx --output model.onnx
```

Scores are PCK at 0.05, 0.1 and 0.2 of the longer side of the box, and OKS AP.$remark

| file | what it is |
|---|---|
| `metainfo.py` | the joints: mirror partners, skeleton, sigmas |
| `config.py` | data, model and schedule; yours to change |
| `train.json`, `val.json` | the persons that training can use, with areas and counts |
| `run/` | checkpoints and logs, once it is trained |
| `report/` | what goes wrong where, with pictures, once it is reported |
''')


def metainfo(data: Data, pairs: Pairs, sigmas: Sigmas) -> str:
    """The text of metainfo.py."""
    swaps = pairs.swaps(len(data.names))
    sides = {pair[side]: word for pair in pairs.pairs
             for side, word in enumerate(('left', 'right'))}
    colours = [sides.get(joint, 'middle') for joint in range(len(data.names))]
    joints = ''.join(
        f'    ({name!r}, {data.names[swap] if swap != joint else ""!r}, {colours[joint]}, '
        f'{sigma}),\n'
        for joint, (name, swap, sigma) in enumerate(zip(data.names, swaps, sigmas.values)))
    links = ''.join(
        f'    ({data.names[start]!r}, {data.names[end]!r}, '
        f'{colours[start] if colours[start] == colours[end] else "middle"}),\n'
        for start, end in data.skeleton)
    return METAINFO.substitute(
        name=_plain(data.path.name), dataset_name=repr(data.path.stem), joints=joints, links=links,
        sides=f'{len(pairs.pairs)} pairs' if pairs.pairs else 'no pairs',
        sigma_origin=sigmas.origin, left=list(LEFT), right=list(RIGHT), middle=list(MIDDLE))


def shared_settings() -> str:
    """The text of configs/_base_/runtime.py: hooks, visualizer, environment.

    Raises:
        FileNotFoundError: If the package was installed without its configs.
    """
    package = Path(__file__).parents[1]
    for root in (package / '.mim', package.parent):  # of a wheel, of a clone
        path = root / 'configs/_base_/runtime.py'
        if path.is_file():
            return path.read_text(encoding='utf-8').split('"""', 2)[2].strip() + '\n'
    raise FileNotFoundError(f'configs/_base_/runtime.py not found in {package / ".mim"} nor in '
                            f'{package.parent}; install the package from its wheel or clone')


def config(data: Data, num_train: int, folders: tuple[Path, Path], row: Row,
           size: tuple[int, int], schedule: Schedule, workers: int, flips: bool, init_cfg: Any,
           load_from: str, shortcut: str) -> str:
    """The text of config.py.

    Args:
        data: What is learned.
        num_train: Persons of the training set.
        folders: Of the photos, for training and validation.
        row: The arch, and how it is trained.
        size: Width and height of the input.
        schedule: Of the run.
        workers: Processes that load photos.
        flips: Whether a mirror image is a sample, too.
        init_cfg: Of the backbone.
        load_from: The expression of a checkpoint's path.
        shortcut: Around groups of blocks.
    """
    width, height = size
    return CONFIG.substitute(
        name=_plain(data.path.name), shared=shared_settings(), num_joints=len(data.names),
        num_train=num_train, width=width, height=height, map_width=width // 4,
        map_height=height // 4,
        # A width of 2 for maps of 64x48, 1.5 for the study's 24x24.
        heatmap_sigma=2 if max(size) >= 192 else 1.5,
        train_images=repr(str(folders[0])), val_images=repr(str(folders[1])),
        flip=FLIP if flips else NO_FLIP, flip_test=flips, batch=row.batch, workers=workers,
        arch=_call(row.arch), channels=resolve_arch(row.arch).embed_dims, shortcut=repr(shortcut),
        drop_path=row.drop_path,
        init_cfg=_call(init_cfg), epochs=schedule.epochs, interval=schedule.interval,
        warm_up=schedule.warm_up, lr=row.lr,
        decay=row.decay if init_cfg is not None else '1.', load_from=load_from)


def readme(data: Data, counts: tuple[int, int], epochs: int, expectation: str, remark: str) -> str:
    """The text of README.md."""
    return README.substitute(
        name=_plain(data.path.name), num_train=counts[0], num_val=counts[1],
        num_joints=len(data.names), epochs=epochs, expectation=expectation, remark=remark)


def persons_json(data: Data, folder: Path, photos: np.ndarray) -> dict:
    """A json of the persons that training and evaluation can use, on some of the photos.

    Areas that are missing are a share of the box, num_keypoints are counted, what is not labelled
    is (0, 0, 0), v is 1 or 2, ids are whole numbers, and there is one category.

    Args:
        data: What is read.
        folder: Of the photos, for sizes that are missing.
        photos: (P,), which photos to take.
    """
    labelled = data.labelled
    crowds = data.crowd & data.sound_boxes & (data.photo_of >= 0)
    kept = np.flatnonzero((data.usable | crowds) & photos[data.photo_of])
    persons = []
    for number, person in enumerate(kept, 1):
        known = labelled[person]
        joints = np.where(known[:, None], data.joints[person], 0)
        joints[:, 2] = np.where(known, np.where(joints[:, 2] == 1, 1, 2), 0)
        width, height = data.boxes[person, 2:]
        area = data.areas[person] if data.areas[person] > 0 else FILLED * width * height
        persons.append(dict(
            id=number, image_id=int(data.photo_of[person]) + 1, category_id=1,
            iscrowd=int(data.crowd[person]), bbox=data.boxes[person].tolist(), area=float(area),
            num_keypoints=int(known.sum()),
            keypoints=[int(value) if value == int(value) else value
                       for value in joints.ravel().tolist()]))
    images = []
    for photo in sorted({person['image_id'] - 1 for person in persons}):
        size = data.sizes[photo]
        if not np.isfinite(size).all():
            size = look(folder / data.file_name(photo)).size
        images.append(dict(id=photo + 1, file_name=data.file_name(photo), width=int(size[0]),
                           height=int(size[1])))
    names = [str(category.get('name')) for category in data.categories if category.get('keypoints')]
    category = dict(id=1, name=names[0] if len(names) == 1 else 'any', keypoints=data.names,
                    skeleton=[[start + 1, end + 1] for start, end in data.skeleton])
    return dict(images=images, annotations=persons, categories=[category])


def _call(value: Any) -> str:
    """An expression, with dict(...) as configs are written."""
    if isinstance(value, dict):
        return f'dict({", ".join(f"{name}={_call(item)}" for name, item in value.items())})'
    return pprint.pformat(value)


def _plain(text: str) -> str:
    """Text for a docstring."""
    return text.replace('\\', '/').replace('"', "'")
