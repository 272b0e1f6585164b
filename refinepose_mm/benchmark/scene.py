"""One photo with many persons, from boxes to keypoints: MMPose's call and ours."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import numpy as np
import torch
from mmengine.config import Config
from mmpose.apis import inference_topdown
from mmpose.registry import DATASETS
from torch import nn

from ..deploy.export import TARGETS, export
from ..deploy.predictor import BatchPredictor

PHOTO = (720, 1280)


def make_scene(engine: str, model: nn.Module, config: dict, persons: int,
               img_size: tuple[int, int], device: torch.device, folder: Path,
               name: str) -> Callable[[], object]:
    """A function that crops the persons, runs the network with its flip test, and decodes.

    Args:
        engine: 'eager' calls MMPose's ``inference_topdown``, which makes one batch of all persons;
            others go through :class:`BatchPredictor`, after ``deploy()`` or with an exported file.
        model: What :func:`subjects.build` built of ``config``.
        config: The pose estimator's config.
        persons: Number of boxes.
        img_size: Height and width of the crops.
        device: Of the model; exported files run on the CPU.
        folder: For files, written once.
        name: Of these files.
    """
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (*PHOTO, 3), np.uint8)
    corner = random.uniform(0, np.subtract(PHOTO[::-1], (120, 240)), (persons, 2))
    boxes = np.concatenate([corner, corner + (120, 240)], axis=1).astype(np.float32)
    settings = Config(dict(
        default_scope='mmpose',
        model=config,
        test_dataloader=dict(dataset=dict(type='CocoDataset', pipeline=[
            dict(type='LoadImage'),
            dict(type='GetBBoxCenterScale'),
            dict(type='TopdownAffine', input_size=img_size[::-1], use_udp=True),
            dict(type='PackPoseInputs'),
        ]))))
    if engine == 'eager':
        model.cfg = settings
        model.dataset_meta = DATASETS.build(dict(
            type='CocoDataset', lazy_init=True, test_mode=True)).metainfo
        return lambda: inference_topdown(model, photo, boxes)
    path = folder / f'{name}{TARGETS[engine].suffix if engine in TARGETS else ".pth"}'
    if not path.is_file():
        if engine in TARGETS:
            export(model, path)
        else:
            torch.save(dict(state_dict=model.state_dict()), path)
    settings.dump(folder / f'{name}.py')
    predictor = BatchPredictor(folder / f'{name}.py', path, device=str(device))
    return lambda: predictor(photo, boxes)
