"""What is timed: models, the engines that run them, and tasks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Callable

import numpy as np
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.codecs import UDPHeatmap
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from ..codecs import BatchedUDPHeatmap
from ..complexity import NUM_KEYPOINTS, refinepose_config, vitpose_config
from ..deploy import deploy, fold
from ..deploy.export import TARGETS, export, load_exported
from ..deploy.quantize import quantize
from ..engine import keep_memory
from ..models.shortcut_vit import ARCHS
from .scene import make_scene

PEERS = ('MMPose ViTPose', 'MMPose ViTPose simple')  # on mmpretrain's backbone
MODEL_TASKS = ('forward', 'predict', 'train', 'scene')
DTYPES = dict(fp32=torch.float32, bf16=torch.bfloat16)
ENGINES = ('eager', 'deploy', *TARGETS, 'openvino-bf16', 'openvino-int8')


def complete(config: dict) -> dict:
    """The config of a network, with what an estimator needs besides."""
    return dict(
        config,
        head=dict(config['head'], decoder=dict(
            type='BatchedUDPHeatmap', **_codec_sizes(config['backbone']['img_size']))),
        test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False),
        data_preprocessor=dict(
            type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375], bgr_to_rgb=True))


def build(config: dict, device: torch.device) -> nn.Module:
    """A pose estimator with random weights, which take as long as trained ones."""
    init_default_scope('mmpose')
    return MODELS.build(complete(config)).to(device).eval()


def variants(arch: str, img_size: tuple[int, int]) -> dict[str, dict]:
    """Configs of what is compared, by name; those of PEERS come first and need mmpretrain."""
    taper = refinepose_config(arch, img_size)
    taper['head'] = dict(taper['head'], channel_match='taper')
    classic, simple = vitpose_config(arch, img_size), vitpose_config(arch, img_size)
    classic['head'] = dict(classic['head'], type='Float32HeatmapHead')
    # ViTPose's simple head: one upsampling, then the output convolution.
    simple['head'] = dict(classic['head'], deconv_out_channels=[], deconv_kernel_sizes=[],
                          final_layer=dict(kernel_size=3, padding=1))
    simple['neck'] = dict(  # of PoseFeatures it needs the map, which is the second field
        type='FeatureMapProcessor', select_index=1, scale_factor=4., apply_relu=True)
    ours = {'ViTPose': classic, 'ViTPose simple': simple,
            'RefinePose': refinepose_config(arch, img_size), 'RefinePose taper': taper}
    backbone = dict(  # as MMPose 1.3 configures it
        type='mmpretrain.VisionTransformer', arch=ARCHS[arch]._asdict(), img_size=img_size,
        patch_size=16, qkv_bias=True, with_cls_token=False, out_type='featmap',
        patch_cfg=dict(padding=2))
    theirs = [dict(classic, backbone=backbone), dict(simple, backbone=backbone)]
    theirs[1]['neck'] = dict(simple['neck'], select_index=0)  # its features are the map alone
    return dict(zip(PEERS, theirs)) | ours


def make_task(task: str, model: nn.Module, batch: int, img_size: tuple[int, int],
              dtype: torch.dtype) -> Callable[[], object]:
    """A function that does the task once: see the command's help for what each one is."""
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


def make_engine(engine: str, config: dict, task: str, batch: int, img_size: tuple[int, int],
                dtype: torch.dtype, device: torch.device, folder: Path,
                name: str) -> Callable[[], object] | None:
    """A function that does the task once through an engine; None where that cannot be.

    Exported files run the forward pass only, from images of 0 to 255, in single precision or that
    of the engine's name; `dtype` is for the others. They are written into `folder` once.
    """
    torch.manual_seed(0)
    model = build(config, device)
    if task == 'scene':
        return None if engine not in ('eager', 'deploy', *TARGETS) else make_scene(
            engine, model, complete(config), batch, img_size, device, folder, name)
    if engine == 'eager':
        return make_task(task, model, batch, img_size, dtype)
    if engine == 'deploy':
        if task == 'train':
            return None
        # Packed layers are for single precision.
        ready = deploy(model) if dtype == torch.float32 else fold(model)
        return make_task(task, ready, batch, img_size, dtype)
    if task != 'forward':
        return None
    target = TARGETS[engine.replace('-bf16', '').replace('-int8', '')]
    path = folder / f'{name}{target.suffix}'
    if not path.is_file():
        export(model, path)
    images = np.random.default_rng(0).uniform(0, 255, (batch, 3, *img_size)).astype(np.float32)
    if engine == 'openvino-int8':  # any images do, for time does not depend on the ranges
        path, source = folder / f'{name}_int8.xml', path
        if not path.is_file():
            quantize(source, path, [images[:1]])
    call = load_exported(path, 'bf16' if engine.endswith('-bf16') else 'f32')
    return partial(call, images)


def prepare(keep: bool, *arguments: object) -> Callable[[], object]:
    """:func:`make_engine` in a process of its own, to measure its memory there."""
    if keep:
        keep_memory()
    return make_engine(*arguments)


def make_decoders(batch: int, img_size: tuple[int, int],
                  device: torch.device) -> dict[str, Callable[[], object]]:
    """Decoding of the heatmaps of a batch of persons: by MMPose's codec, and by ours.

    The heatmaps are smooth hills with noise, as a network's are.
    """
    sizes = _codec_sizes(img_size)
    theirs, ours = UDPHeatmap(**sizes), BatchedUDPHeatmap(**sizes)
    random = np.random.default_rng(0)
    points = random.uniform(0, img_size[::-1], (batch, NUM_KEYPOINTS, 2))
    hills = np.concatenate([theirs.encode(person[None], np.ones((1, NUM_KEYPOINTS)))['heatmaps'][
        None] for person in points])
    heatmaps = torch.from_numpy(hills + random.normal(0, .01, hills.shape)).float().to(device)
    return {
        'UDPHeatmap': lambda: [theirs.decode(one.cpu().numpy()) for one in heatmaps],
        'BatchedUDPHeatmap': lambda: ours.batch_decode(heatmaps)}


def _codec_sizes(img_size: tuple[int, int]) -> dict[str, tuple[int, int]]:
    width, height = img_size[::-1]
    return dict(input_size=(width, height), heatmap_size=(width // 4, height // 4))


def _samples(batch: int, img_size: tuple[int, int], device: torch.device) -> list[PoseDataSample]:
    samples = []
    for _ in range(batch):
        size = torch.tensor(img_size[::-1]).numpy()
        sample = PoseDataSample(metainfo=dict(
            input_size=size, input_center=size / 2, input_scale=size,
            flip_indices=list(range(NUM_KEYPOINTS))))
        sample.gt_instances = InstanceData(bboxes=torch.zeros(1, 4).numpy(),
                                           bbox_scores=torch.ones(1).numpy())
        sample.gt_fields = PixelData(
            heatmaps=torch.rand(NUM_KEYPOINTS, img_size[0] // 4, img_size[1] // 4))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, NUM_KEYPOINTS))
        samples.append(sample.to(device))
    return samples
