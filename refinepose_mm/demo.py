"""`refinepose demo`: toy people, `mim train`, `mim test` and MMPoseInferencer, end to end."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from .datasets import toy_people
from .deploy.config import TEST_DATA, TRAIN_DATA, load_config

CONFIG = 'configs/refinepose_tiny_toy.py'
OVERLAYS = 'overlays.jpg'
CURVE = 'training_curve.png'
HEIGHT = 320  # of the pictures in it, in pixels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose demo`."""
    parser.add_argument('--config', default=CONFIG, help='config to train; default: %(default)s')
    parser.add_argument('--data', default='data/toy', help='where the toy people are drawn')
    parser.add_argument('--work-dir', default='work_dirs/refinepose_tiny_toy',
                        help='checkpoints, logs and pictures; a finished run is used again')
    parser.add_argument('--train', type=int, default=2000, help='training images')
    parser.add_argument('--val', type=int, default=100, help='validation images')


def run(args: argparse.Namespace) -> int:
    """Run the demo from the root of the project.

    Raises:
        FileNotFoundError: If the config is not there, as outside the project's root.
        ValueError: If it is no config that can be trained.
        OSError: If the folder of the run cannot be made, or training or test fail.
    """
    if not Path(args.config).is_file():
        raise FileNotFoundError(f'config {args.config} not found; run the demo from the root of '
                                'the project, or name another one with --config')
    load_config(args.config, TRAIN_DATA, TEST_DATA)
    started = time.time()
    Path(args.work_dir).mkdir(parents=True, exist_ok=True)
    data, work_dir = Path(args.data).resolve(), Path(args.work_dir)
    environment = dict(os.environ, TOY_ROOT=str(data))

    _announce(1, f'draw toy people into {args.data}')
    toy_people.generate(data, num_train=args.train, num_val=args.val)

    _announce(2, f'mim train mmpose {args.config}')
    # An interrupted run is resumed; a finished one stays as it is.
    _mim('train', args.config, work_dir, environment, '--resume', 'auto')

    _announce(3, f'mim test mmpose {args.config}')
    checkpoint = best_checkpoint(work_dir)
    _mim('test', args.config, work_dir / 'test', environment, '--checkpoint', str(checkpoint))
    ap = last_metric(work_dir / 'test', 'coco/AP')

    _announce(4, 'MMPoseInferencer on images it has not seen')
    overlays = work_dir / 'overlays'
    pictures = draw_overlays(args.config, checkpoint, data / 'demo', overlays, data)
    curve = work_dir / CURVE
    draw_training(work_dir).savefig(curve, dpi=120)

    print(f'\nDone in {(time.time() - started) / 60:.1f} minutes.')
    print(f'  coco/AP on {args.val} toy validation images: {ap:.3f}')
    print(f'  checkpoint      {checkpoint}')
    print(f'  training curve  {curve}')
    print(f'  overlays        {work_dir / OVERLAYS}; one by one in {overlays} ({len(pictures)})')
    print('\nNext, with COCO on disk (annotations/, train2017/, val2017/):')
    print('  COCO_ROOT=/path/to/coco mim train mmpose configs/refinepose_vitb_coco.py')
    return 0


def best_checkpoint(work_dir: Path) -> Path:
    """The best checkpoint of a run, as its checkpoint hook names it.

    Raises:
        FileNotFoundError: If there is none.
    """
    found = sorted(work_dir.glob('best_coco_AP_epoch_*.pth'),
                   key=lambda path: int(path.stem.rsplit('_', 1)[1]))
    if not found:
        raise FileNotFoundError(f'no best_coco_AP_epoch_*.pth in {work_dir}')
    return found[-1]


def last_metric(work_dir: Path, name: str) -> float:
    """The newest value of a metric in the json logs that MMEngine keeps of its tests."""
    logs = sorted(work_dir.glob('*/*.json'))
    if not logs:
        raise FileNotFoundError(f'no test log (*/*.json) in {work_dir}')
    return json.loads(logs[-1].read_text())[name]


def draw_overlays(config: str, checkpoint: Path, images: Path, out_dir: Path,
                  toy_root: Path) -> list[Path]:
    """Let MMPoseInferencer draw skeletons on every image of a folder, and put all side by side.

    Each image is the portrait of one person, so the whole image is the person's box.
    """
    from mmpose.apis import MMPoseInferencer
    os.environ['TOY_ROOT'] = str(toy_root)
    inferencer = MMPoseInferencer(
        pose2d=config, pose2d_weights=str(checkpoint), det_model='whole_image', device='cpu')
    for _ in inferencer(str(images), vis_out_dir=str(out_dir), radius=3, thickness=2):
        pass
    pictures = sorted(out_dir.glob('*.jpg'))
    side_by_side = []
    for picture in pictures:
        image = cv2.imread(str(picture))
        height, width = image.shape[:2]
        side_by_side.append(cv2.resize(image, (width * HEIGHT // height, HEIGHT)))
    cv2.imwrite(str(out_dir.parent / OVERLAYS), np.hstack(side_by_side))
    return pictures


def draw_training(work_dir: Path) -> Figure:
    """Loss and validation AP of all runs in a work directory."""
    records = [json.loads(line) for log in sorted(work_dir.glob('*/vis_data/scalars.json'))
               for line in log.read_text().splitlines()]
    losses = [(r['step'], r['loss']) for r in records if 'loss' in r]
    aps = [(r['step'], r['coco/AP']) for r in records if 'coco/AP' in r]
    figure = Figure(figsize=(9, 3.2), layout='constrained')
    left, right = figure.subplots(1, 2)
    left.plot(*zip(*losses))
    left.set(xlabel='iteration', ylabel='heatmap loss', yscale='log', title='training')
    right.plot(*zip(*aps), marker='o')
    right.set(xlabel='epoch', ylabel='coco/AP', ylim=(0, 1), title='validation')
    for axes in (left, right):
        axes.grid(alpha=.3)
    return figure


def _mim(command: str, config: str, work_dir: Path, environment: dict, *extra: str) -> None:
    import torch
    mim = Path(sys.executable).parent / 'mim'
    gpus = '1' if torch.cuda.is_available() else '0'
    call = [str(mim), command, 'mmpose', config, '--gpus', gpus, '--work-dir', str(work_dir)]
    code = subprocess.run([*call, *extra], env=environment).returncode
    if code:
        raise OSError(f'`mim {command}` ended with exit code {code}; its own message stands above')


def _announce(step: int, what: str) -> None:
    print(f'\n==> [{step}/4] {what}', flush=True)
