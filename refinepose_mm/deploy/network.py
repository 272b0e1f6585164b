"""The network of a pose estimator as one module: image batch in, heatmaps or keypoints out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..checkpoints import open_checkpoint, require_finite
from ..codecs import decode_udp
from ..engine.fitting import compare_weights, kinds_that_differ, unwrapped
from .calibration import KEY, from_text
from .config import explained, load_config, metainfo_of, usable_device


class InferenceNetwork(nn.Module):
    """Normalisation, backbone, neck, head and optionally decoding.

    Exported files hold this network; :class:`~refinepose_mm.deploy.predictor.BatchPredictor` also
    runs checkpoints through it.

    Args:
        model: A trained ``TopdownPoseEstimator``.
        decode: Return keypoints and scores instead of heatmaps; the model's codec must be
            ``BatchedUDPHeatmap`` then.
        half: Compute in float16 between normalisation and heatmaps; changes the model.

    Shapes: images (B, 3, H, W), float32, 0 to 255, channels in OpenCV's order (BGR) -> heatmaps
    (B, K, H/4, W/4), or keypoints (B, K, 2) as (x, y) in pixels of the images and scores (B, K).

    Raises:
        ValueError: If ``decode`` is asked of another codec, or the model does not normalise.
    """

    def __init__(self, model: nn.Module, decode: bool = False, half: bool = False):
        super().__init__()
        self.backbone, self.head, self.decode = model.backbone, model.head, decode
        self.neck = model.neck if model.with_neck else nn.Identity()
        preprocessor = model.data_preprocessor
        if not hasattr(preprocessor, 'mean'):
            raise ValueError('model.data_preprocessor needs mean and std, as PoseDataPreprocessor '
                             f'has them; got {type(preprocessor).__name__} without')
        self.half_precision = half
        if half:
            for part in (self.backbone, self.neck, self.head):
                part.half()
        self.reverse_channels = preprocessor._channel_conversion
        self.register_buffer('mean', preprocessor.mean.view(1, 3, 1, 1))
        self.register_buffer('std', preprocessor.std.view(1, 3, 1, 1))
        if decode:
            codec = model.head.decoder
            if not hasattr(codec, 'blur_kernel'):
                raise ValueError('decoding inside of the graph needs the codec BatchedUDPHeatmap, '
                                 f'got {type(codec).__name__}')
            self.register_buffer('blur_kernel', codec.blur_kernel)
            self.register_buffer('pixels_per_step', torch.tensor(codec.pixels_per_step).float())

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        if self.reverse_channels:
            images = images.flip(1)
        images = (images - self.mean) / self.std
        if self.half_precision:
            images = images.half()
        heatmaps = self.head(self.neck(self.backbone(images)))
        if self.half_precision:
            heatmaps = heatmaps.float()
        if not self.decode:
            return heatmaps
        coordinates, scores = decode_udp(heatmaps, self.blur_kernel)
        return coordinates * self.pixels_per_step, scores


def decode_heatmaps(codec: BaseKeypointCodec, heatmaps: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (B, K, 2) in pixels of the crops, and scores (B, K), by any heatmap codec."""
    if codec.support_batch_decoding:
        found = codec.batch_decode(heatmaps)
    else:
        found = zip(*map(codec.decode, heatmaps.float().cpu().numpy()))
    keypoints, scores = (np.concatenate(list(parts)) for parts in found)
    return keypoints, scores


def load_model(config: str | Path | Config, checkpoint: str | Path,
               device: str = 'cpu') -> nn.Module:
    """Build the model of a config with the weights of a checkpoint, all of them.

    MMPose's functions take the model, too: it has ``cfg`` and, if the config names test data,
    ``dataset_meta``. Its ``calibration`` is that of the checkpoint, or None.

    Raises:
        FileNotFoundError: If config or checkpoint do not exist.
        ValueError: If one of them is broken, the checkpoint is not of this model, or the device
            cannot be used.
    """
    config = load_config(config)
    device = usable_device(device)
    with explained(f'model of {config.filename or "the config"} cannot be built'):
        model = revert_sync_batchnorm(MODELS.build(config.model))
    load_weights(model, checkpoint)
    # MMPose's init_model takes COCO's names where it finds no training data.
    dataset = config.get('test_dataloader', {}).get('dataset')
    model.cfg, model.dataset_meta = config, dataset and metainfo_of(dataset)
    if dataset and model.calibration is not None:
        names = model.dataset_meta['keypoint_id2name']
        model.calibration.require_joints(tuple(names[i] for i in range(len(names))), checkpoint)
    return model.to(device).eval()


def load_weights(model: nn.Module, checkpoint: str | Path) -> None:
    """Load all weights of a model, and its ``calibration`` (or None), from a checkpoint.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        ValueError: If it is broken, not of this model, or not finite.
    """
    weights, meta = open_checkpoint(str(checkpoint))
    weights = unwrapped(weights)
    try:
        model.load_state_dict(weights)  # modules of MMPose rename the weights of MMPose 0.x
        problems = kinds_that_differ(model, weights)
    except RuntimeError:  # torch lists every key
        problems = compare_weights(model, weights)[1]
    if problems:
        raise ValueError(f'{checkpoint} is not of this config: {problems}')
    model.calibration = from_text(meta[KEY], checkpoint) if KEY in meta else None
    require_finite(weights, str(checkpoint))
