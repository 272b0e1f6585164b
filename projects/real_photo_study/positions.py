"""What does a trained FusionHead read from the pool positions? Test it with wrong ones.

    LSPET_ROOT=/data/lspet python projects/real_photo_study/positions.py CONFIG CHECKPOINT
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import records
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn


class RandomPositions(nn.Module):
    """Unpool with random positions in place of the stem's."""

    def __init__(self, unpool: nn.Module):
        super().__init__()
        self.unpool = unpool

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        return self.unpool(x, torch.randint_like(positions, 4))


class Spread(nn.Module):
    """A quarter of each value at each pixel of its window: the mean over all positions."""

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        return F.interpolate(x / 4, scale_factor=2)


class Nothing(nn.Module):
    """Zeros: no unpooled map."""

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        return F.interpolate(torch.zeros_like(x), scale_factor=2)


def unpoolings(trained: nn.Module) -> dict[str, nn.Module]:
    """Replacements of the trained ``UpSample.unpool``, itself first."""
    return {'as trained': trained, 'values at random positions': RandomPositions(trained),
            'values spread over their windows': Spread(), 'left out': Nothing()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--work-dir', default='work_dirs/positions', help='folder of the log')
    args = parser.parse_args()
    for path in (args.config, args.checkpoint):
        if not Path(path).is_file():
            sys.exit(f'error: {path} not found')
    config = Config.fromfile(args.config)
    if config.model.head.type != 'FusionHead' or not config.model.head.get('unpool', True):
        sys.exit(f'error: the head of {args.config} does not unpool')
    config.work_dir, config.load_from, config.log_level = args.work_dir, args.checkpoint, 'ERROR'
    init_default_scope(config.default_scope)
    runner = Runner.from_cfg(config)
    up_samples = runner.model.head.up_samples
    scores = {}
    for name, unpool in unpoolings(up_samples[0].unpool).items():
        torch.manual_seed(0)
        for up_sample in up_samples:
            up_sample.unpool = unpool
        scores[name] = 100 * runner.test()[records.HEADLINE]
    print(f'| unpooled map | {records.METRICS[records.HEADLINE]} |\n|---|---|')
    for name, score in scores.items():
        print(f'| {name} | {score:.1f} |')


if __name__ == '__main__':
    main()
