"""`refinepose complexity`: parameters and multiply-accumulates, beside MMPose's ViTPose."""

from __future__ import annotations

import argparse
import logging

import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS
from torch import nn

from .models.shortcut_vit import ARCHS
from .recipes import refinepose, vitpose

NUM_KEYPOINTS = 17


class _HeatmapNetwork(nn.Module):
    """A pose estimator as a function of the image alone, as the counter calls it."""

    def __init__(self, estimator: nn.Module):
        super().__init__()
        self.estimator = estimator

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.estimator(image, None, mode='tensor')


def count(config: dict, img_size: tuple[int, int]) -> tuple[int, int]:
    """Parameters and multiply-accumulates of one image through backbone and head.

    MMEngine's counter leaves out the two products inside the attention, as do MMPose's published
    figures, which come from it.
    """
    with DefaultScope.overwrite_default_scope('mmpose'), torch.device('meta'):
        network = _HeatmapNetwork(MODELS.build(config)).eval()
    network.to_empty(device='cpu')  # the counter traces a real pass; weights do not matter
    logger = MMLogger.get_current_instance()
    level = logger.level
    # The counter warns of each operator without a rule; none of these multiplies.
    logger.setLevel(logging.ERROR)
    try:
        info = get_model_complexity_info(
            network, input_shape=(3, *img_size), show_table=False, show_arch=False)
    finally:
        logger.setLevel(level)
    return sum(p.numel() for p in network.parameters()), info['flops']


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose complexity`."""
    parser.add_argument('--arch', nargs='+', default=['small', 'base', 'large', 'huge'],
                        choices=ARCHS, help='encoder sizes to count')
    parser.add_argument('--img-size', nargs=2, type=int, default=(256, 192),
                        metavar=('H', 'W'), help='input size in pixels, multiples of 16')


def run(args: argparse.Namespace) -> int:
    """Print a Markdown table."""
    img_size = tuple(args.img_size)
    print(f'Input {img_size[0]}x{img_size[1]}, {NUM_KEYPOINTS} keypoints.\n')
    print('| encoder | RefinePose params (M) | GMACs | ViTPose params (M) | GMACs |')
    print('|---|---|---|---|---|')
    for arch in args.arch:
        cells = [arch]
        for config in (refinepose(arch, img_size), vitpose(arch, img_size)):
            params, macs = count(config, img_size)
            cells += [f'{params / 1e6:.1f}', f'{macs / 1e9:.1f}']
        print(f'| {" | ".join(cells)} |')
    return 0
