"""A detector of mmdet, from its config and a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope

from ..config import explained, load_config, usable_device
from ..network import load_weights

SCOPE = 'mmdet'
PIPELINE = 'test_dataloader.dataset.pipeline'


class MMDetDetector:
    """Finds persons with a detector of mmdet; its class 0 is the person.

    Args:
        config: Of mmdet 3: the model, and a test pipeline.
        weights: Its checkpoint; nothing in it is executed.
        threshold: Lowest score, 0 to 1.
        device: Where it runs.

    Attributes:
        description: What it is.

    Raises:
        FileNotFoundError: If config or checkpoint do not exist.
        ImportError: If mmdet is not installed.
        ValueError: If one of them is broken, they do not fit, or the device cannot be used.
    """

    def __init__(self, config: Path, weights: str | Path, threshold: float, device: str = 'cpu'):
        try:
            import mmdet.datasets
            import mmdet.models  # noqa: F401, registers
            from mmdet.registry import MODELS
        except ImportError as error:
            raise ImportError(f'detectors from a config need mmdet ({error}): '
                              'pip install "refinepose_mm[openmmlab]"') from None
        self.threshold, where = threshold, usable_device(device)
        # Another library's scope for this block only: MMPose's is the process's.
        with DefaultScope.overwrite_default_scope(SCOPE):
            settings = load_config(config, PIPELINE)
            with explained(f'detector {config} cannot be built'):
                self.pipeline = Compose(_from_arrays(settings))
                self.model = revert_sync_batchnorm(MODELS.build(_without_downloads(
                    settings.model, threshold)))
        load_weights(self.model, weights)
        self.model.to(where).eval()
        self.name = config.name
        self.description = (f'{config.name} as {type(self.model).__name__} of mmdet, images as '
                            'its test pipeline says')

    def __call__(self, images: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Boxes (N, 4) in pixels and scores (N,) for each image (H, W, 3), uint8, BGR."""
        with explained(f'detector {self.name} fails'), torch.no_grad(), \
                DefaultScope.overwrite_default_scope(SCOPE):
            packed = [self.pipeline(dict(img=image, img_id=number))
                      for number, image in enumerate(images)]
            samples = self.model.test_step({
                name: [each[name] for each in packed] for name in ('inputs', 'data_samples')})
        found = []
        for sample, image in zip(samples, images):
            boxes, scores, labels = (sample.pred_instances[name].cpu().numpy()
                                     for name in ('bboxes', 'scores', 'labels'))
            boxes = boxes.reshape(-1, 4).clip(0, np.tile(image.shape[1::-1], 2))
            kept = ((labels == 0) & (scores >= self.threshold)
                    & (boxes[:, 2:] > boxes[:, :2]).all(1))
            found.append((boxes[kept].astype(np.float32), scores[kept].astype(np.float32)))
        return found


def _from_arrays(settings: Config) -> list[dict]:
    """The test pipeline, with images from memory and without annotations."""
    first, *steps = settings.test_dataloader.dataset.pipeline
    if not str(first.type).endswith('LoadImageFromFile'):
        raise ValueError(f'{settings.filename}: {PIPELINE} must begin with LoadImageFromFile, got '
                         f'{first.type}')
    return [dict(type='LoadImageFromNDArray'),
            *(step for step in steps if not str(step.type).endswith('LoadAnnotations'))]


def _without_downloads(model: Config, threshold: float) -> Config:
    """The model without pretrained parts, and with the threshold before its NMS.

    mmdet's configs keep boxes from a score of 0.001 on, which is for evaluation, and slow.
    """
    if 'backbone' in model:
        model.backbone.init_cfg = None
    test_cfg = model.get('test_cfg') or {}
    last = test_cfg.get('rcnn') or test_cfg
    if 'score_thr' in last:
        last.score_thr = threshold
    return model
