"""Tasks that PyTorch runs: forward pass, prediction, training step, and decoding."""

from __future__ import annotations

from typing import Callable

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.codecs import UDPHeatmap
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from ..codecs import BatchedUDPHeatmap

NUM_KEYPOINTS = 17


def make_task(task: str, model: nn.Module, batch: int, img_size: tuple[int, int],
              dtype: torch.dtype) -> Callable[[], object]:
    """A function that does the task 'forward', 'predict' or 'train' once."""
    device = next(model.parameters()).device
    images = torch.randn(batch, 3, *img_size, device=device)
    samples = _samples(batch, img_size, device)
    autocast = torch.autocast(device.type, dtype, enabled=dtype != torch.float32)

    @torch.no_grad()
    def forward() -> Tensor:
        with autocast:
            return model(images, None, mode='tensor')

    @torch.no_grad()
    def predict() -> list:
        with autocast:
            return model(images, samples, mode='predict')

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4) if task == 'train' else None

    def train() -> None:
        model.train()
        with autocast:
            loss, _ = model.parse_losses(model(images, samples, mode='loss'))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return dict(forward=forward, predict=predict, train=train)[task]


def make_decoders(batch: int, img_size: tuple[int, int],
                  device: torch.device) -> dict[str, Callable[[], object]]:
    """Decoding of the heatmaps of a batch of persons: by MMPose's codec, and by ours.

    The heatmaps are smooth hills with noise, as a network's are.
    """
    height, width = img_size
    sizes = dict(input_size=(width, height), heatmap_size=(width // 4, height // 4))
    theirs, ours = UDPHeatmap(**sizes), BatchedUDPHeatmap(**sizes)
    random = np.random.default_rng(0)
    points = random.uniform(0, (width, height), (batch, NUM_KEYPOINTS, 2))
    hills = np.concatenate([theirs.encode(person[None], np.ones((1, NUM_KEYPOINTS)))['heatmaps'][
        None] for person in points])
    heatmaps = torch.from_numpy(hills + random.normal(0, .01, hills.shape)).float().to(device)
    return {
        'UDPHeatmap': lambda: [theirs.decode(one.cpu().numpy()) for one in heatmaps],
        'BatchedUDPHeatmap': lambda: ours.batch_decode(heatmaps)}


def _samples(batch: int, img_size: tuple[int, int], device: torch.device) -> list[PoseDataSample]:
    samples = []
    for _ in range(batch):
        size = np.array(img_size[::-1])
        sample = PoseDataSample(metainfo=dict(
            input_size=size, input_center=size / 2, input_scale=size,
            flip_indices=list(range(NUM_KEYPOINTS))))
        sample.gt_instances = InstanceData(bboxes=np.zeros((1, 4), np.float32),
                                           bbox_scores=np.ones(1, np.float32))
        sample.gt_fields = PixelData(
            heatmaps=torch.rand(NUM_KEYPOINTS, img_size[0] // 4, img_size[1] // 4))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, NUM_KEYPOINTS))
        samples.append(sample.to(device))
    return samples
