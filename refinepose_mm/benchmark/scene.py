"""One photo with many persons, from boxes to keypoints: MMPose's call and ours."""

from __future__ import annotations

from typing import Callable

import numpy as np
import torch
from mmengine.config import Config
from mmpose.apis import inference_topdown
from mmpose.registry import DATASETS
from torch import nn

from ..deploy.export import export
from ..deploy.formats import TARGETS
from ..deploy.predictor import BatchPredictor
from .case import Case

PHOTO = (720, 1280)  # height and width in pixels


def make_scene(case: Case, model: nn.Module) -> Callable[[], object]:
    """A function that crops the persons, runs the network with its flip test, and decodes.

    'eager' calls MMPose's ``inference_topdown``, which makes one batch of all persons. Other
    engines go through :class:`BatchPredictor`, with a checkpoint or an exported file.

    Args:
        case: What is timed; ``case.batch`` is the number of persons.
        model: The model of the case.
    """
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (*PHOTO, 3), np.uint8)
    corner = random.uniform(0, np.subtract(PHOTO[::-1], (120, 240)), (case.batch, 2))
    boxes = np.concatenate([corner, corner + (120, 240)], axis=1).astype(np.float32)
    settings = Config(dict(
        default_scope='mmpose',
        model=case.config,
        test_dataloader=dict(dataset=dict(type='CocoDataset', pipeline=[
            dict(type='LoadImage'),
            dict(type='GetBBoxCenterScale'),
            dict(type='TopdownAffine', input_size=case.img_size[::-1], use_udp=True),
            dict(type='PackPoseInputs'),
        ]))))
    if case.engine == 'eager':
        model.cfg = settings
        model.dataset_meta = DATASETS.build(dict(
            type='CocoDataset', lazy_init=True, test_mode=True)).metainfo
        return lambda: inference_topdown(model, photo, boxes)
    path = case.file(TARGETS[case.engine].suffix if case.engine in TARGETS else '.pth')
    if not path.is_file():
        if case.engine in TARGETS:
            export(model, path)
        else:
            torch.save(dict(state_dict=model.state_dict()), path)
    settings.dump(case.file('.py'))
    predictor = BatchPredictor(case.file('.py'), path, device=str(case.device), trust=True)
    return lambda: predictor(photo, boxes)
