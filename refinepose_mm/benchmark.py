"""`refinepose benchmark`: RefinePose against ViTPose, in one process and on the same threads.

A timing alone says little on a shared machine: what is compared runs in turns (A, B, A, B),
medians are taken over the rounds, and each figure is read as a ratio to the first. The rate of
matrix products that the machine reaches on its own tells how much of the hardware each one uses.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Callable

import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from .complexity import NUM_KEYPOINTS, count, refinepose_config, vitpose_config
from .deploy import deploy
from .models.shortcut_vit import ARCHS

TASKS = ('forward', 'predict', 'train')
DTYPES = dict(fp32=torch.float32, bf16=torch.bfloat16)
WARMUP_ROUNDS = 2
REFERENCE = 'ViTPose'


def compare(functions: dict[str, Callable[[], object]], rounds: int,
            device: torch.device) -> dict[str, list[float]]:
    """Seconds that each function takes, called in turns.

    Args:
        functions: What to time, by name.
        rounds: How often each is timed, after two rounds to warm up.
        device: Where they run; on CUDA their end is waited for.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for current in range(WARMUP_ROUNDS + rounds):
        for name, function in functions.items():
            _synchronize(device)
            start = time.perf_counter()
            function()
            _synchronize(device)
            if current >= WARMUP_ROUNDS:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Multiply-accumulates per second of a large matrix product, the best of several."""
    size = 4096 if device.type == 'cuda' else 1536
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    seconds = compare(dict(matmul=lambda: left @ right), rounds=8, device=device)['matmul']
    return size**3 / min(seconds)


def build(config: dict, device: torch.device) -> nn.Module:
    """A pose estimator with random weights, which take as long as trained ones."""
    init_default_scope('mmpose')
    config = dict(config, head=dict(config['head'], decoder=dict(
        type='BatchedUDPHeatmap', input_size=config['backbone']['img_size'][::-1],
        heatmap_size=tuple(side // 4 for side in config['backbone']['img_size'][::-1]))))
    config['test_cfg'] = dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False)
    return MODELS.build(config).to(device).eval()


class Float32HeatmapHead(HeatmapHead):
    """MMPose's head, which cannot decode its own bf16 heatmaps, with FusionHead's float32 ones."""

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Heatmaps (B, K, H/4, W/4) in float32."""
        return super().forward(feats).float()


def variants(arch: str, img_size: tuple[int, int]) -> dict[str, dict]:
    """Configs of what is compared; the first is the reference."""
    taper = refinepose_config(arch, img_size)
    taper['head'] = dict(taper['head'], channel_match='taper')
    classic, simple = vitpose_config(arch, img_size), vitpose_config(arch, img_size)
    classic['head'] = dict(classic['head'], type=Float32HeatmapHead)
    # ViTPose's simple head: one upsampling, then the output convolution.
    simple['head'] = dict(classic['head'], deconv_out_channels=[], deconv_kernel_sizes=[],
                          final_layer=dict(kernel_size=3, padding=1))
    simple['neck'] = dict(  # of PoseFeatures it needs the map, which is the second field
        type='FeatureMapProcessor', select_index=1, scale_factor=4., apply_relu=True)
    return {REFERENCE: classic, 'ViTPose simple': simple,
            'RefinePose': refinepose_config(arch, img_size), 'RefinePose taper': taper}


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


def _synchronize(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose benchmark`."""
    parser.add_argument('--arch', default='base', choices=ARCHS)
    parser.add_argument('--img-size', nargs=2, type=int, default=(256, 192), metavar=('H', 'W'))
    parser.add_argument('--batch', nargs='+', type=int, default=[1, 8], help='batch sizes')
    parser.add_argument(
        '--task', nargs='+', choices=TASKS, default=['forward'],
        help='forward: heatmaps; predict: with flip test and decoding; train: a whole step')
    parser.add_argument('--dtype', nargs='+', choices=DTYPES, default=['fp32'])
    parser.add_argument('--rounds', type=int, default=10, help='timed rounds; median is taken')
    parser.add_argument('--threads', type=int, help='CPU threads; default: torch\'s own choice')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--output', help='write all timings to this json file')


def run(args: argparse.Namespace) -> int:
    """Print a Markdown table for every task, batch size and precision."""
    if args.output and not Path(args.output).parent.is_dir():
        raise FileNotFoundError(f'folder {Path(args.output).parent} of --output not found')
    if args.threads:
        torch.set_num_threads(args.threads)
    device, img_size = torch.device(args.device), tuple(args.img_size)
    configs = variants(args.arch, img_size)
    macs = {name: count(config, img_size)[1] for name, config in configs.items()}
    models = {name: build(config, device) for name, config in configs.items()}
    machine = dict(
        device=device_name(device),
        threads=torch.get_num_threads(), torch=torch.__version__)
    print(', '.join(f'{key} {value}' for key, value in machine.items()))
    results = []
    for dtype in args.dtype:
        rate = matmul_rate(device, DTYPES[dtype])
        print(f'\n{dtype}: matrix products at {rate / 1e9:.0f} GMAC/s')
        for task in args.task:
            candidates = dict(models)
            if task != 'train':
                candidates.update({f'{name}, deploy()': deploy(model)
                                   for name, model in models.items()})
            for batch in args.batch:
                functions = {name: make_task(task, model, batch, img_size, DTYPES[dtype])
                             for name, model in candidates.items()}
                seconds = compare(functions, args.rounds, device)
                results.append(dict(task=task, batch=batch, dtype=dtype, matmul_rate=rate,
                                    seconds=seconds))
                print(f'\n{task}, batch {batch}, {args.rounds} rounds\n')
                print(_table(seconds, batch, macs, rate, forward=task == 'forward'))
    if args.output:
        Path(args.output).write_text(json.dumps(dict(
            machine=machine, arch=args.arch, img_size=img_size, results=results), indent=1))
        print(f'\nwrote {args.output}')
    return 0


def _table(seconds: dict[str, list[float]], batch: int, macs: dict[str, int], rate: float,
           forward: bool) -> str:
    """Markdown; the share of the machine's rate only where the work is that of the counter."""
    lines = ['| model | ms per image | spread | ratio |' + (' of matmul rate |' if forward else ''),
             '|---|---|---|---|' + ('---|' if forward else '')]
    reference = statistics.median(seconds[REFERENCE])
    for name, times in seconds.items():
        median = statistics.median(times)
        low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else [median] * 3
        line = (f'| {name} | {median / batch * 1e3:.1f} | {(high - low) / median:.0%} | '
                f'{median / reference:.2f} |')
        if forward:
            share = macs[name.split(',')[0]] * batch / median / rate
            line += f' {share:.0%} |'
        lines.append(line)
    return '\n'.join(lines)


def device_name(device: torch.device) -> str:
    """What the machine calls its GPU, or its CPU."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    names = [line.split(':')[1].strip() for line in Path('/proc/cpuinfo').read_text().splitlines()
             if line.startswith('model name')] if Path('/proc/cpuinfo').is_file() else []
    return names[0] if names else platform.processor()
