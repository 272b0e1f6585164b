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

NUM_KEYPOINTS = 17
CLASSIC_DECONV = dict(deconv_out_channels=(256, 256), deconv_kernel_sizes=(4, 4))


def refinepose_config(arch: str, img_size: tuple[int, int]) -> dict:
    """RefinePose as the paper describes it, with 17 keypoints."""
    return dict(
        type='TopdownPoseEstimator',
        backbone=dict(type='ShortcutViT', arch=arch, img_size=img_size),
        head=dict(type='FusionHead', in_channels=ARCHS[arch].embed_dims,
                  out_channels=NUM_KEYPOINTS))


def vitpose_config(arch: str, img_size: tuple[int, int]) -> dict:
    """MMPose's ViTPose with the classic head, made from this package's encoder."""
    return dict(
        type='TopdownPoseEstimator',
        backbone=dict(type='ShortcutViT', arch=arch, img_size=img_size, shortcut='none',
                      stem=dict(type='PatchEmbedding')),
        head=dict(type='HeatmapHead', in_channels=ARCHS[arch].embed_dims,
                  out_channels=NUM_KEYPOINTS, **CLASSIC_DECONV))


class _HeatmapNetwork(nn.Module):
    """A pose estimator as a function of the image alone, as the counter calls it."""

    def __init__(self, estimator: nn.Module):
        super().__init__()
        self.estimator = estimator

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.estimator(image, None, mode='tensor')


def count(config: dict, img_size: tuple[int, int]) -> tuple[int, int]:
    """Parameters and multiply-accumulates of one image through backbone and head.

    MMEngine's counter, which also MMPose's published figures come from, leaves out the two
    products inside the attention.
    """
    with DefaultScope.overwrite_default_scope('mmpose'), torch.device('meta'):
        network = _HeatmapNetwork(MODELS.build(config)).eval()
    network.to_empty(device='cpu')  # the counter traces a real pass, with any weights
    info = get_model_complexity_info(
        network, input_shape=(3, *img_size), show_table=False, show_arch=False)
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
    # The counter warns of each operator it has no rule for; none of them multiplies.
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    print(f'Input {img_size[0]}x{img_size[1]}, {NUM_KEYPOINTS} keypoints.\n')
    print('| encoder | RefinePose params (M) | GMACs | ViTPose params (M) | GMACs |')
    print('|---|---|---|---|---|')
    for arch in args.arch:
        cells = [arch]
        for config in (refinepose_config(arch, img_size), vitpose_config(arch, img_size)):
            params, macs = count(config, img_size)
            cells += [f'{params / 1e6:.1f}', f'{macs / 1e9:.1f}']
        print(f'| {" | ".join(cells)} |')
    return 0
