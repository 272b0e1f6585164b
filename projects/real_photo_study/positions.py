"""What a trained FusionHead reads of the pool positions: test it with wrong ones.

    LSPET_ROOT=/data/lspet python projects/real_photo_study/positions.py CONFIG CHECKPOINT
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from unittest import mock

import report
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor

from refinepose_mm.models import fusion_head
from refinepose_mm.ops.pool_positions import max_unpool_by_positions


def at_random(x: Tensor, positions: Tensor) -> Tensor:
    """Each value at one of the four pixels by chance, whichever the stem names."""
    return max_unpool_by_positions(x, torch.randint_like(positions, 4))


def spread(x: Tensor, positions: Tensor) -> Tensor:
    """A quarter of each value at each of the four pixels: the mean over all positions."""
    return F.interpolate(x / 4, scale_factor=2)


def nothing(x: Tensor, positions: Tensor) -> Tensor:
    """No unpooled map at all."""
    return torch.zeros_like(spread(x, positions))


UNPOOLINGS = {'as trained': max_unpool_by_positions, 'at random positions': at_random,
              'spread over the window': spread, 'left out': nothing}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--work-dir', default='work_dirs/positions', help='for the log')
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
    scores = {}
    for name, unpool in UNPOOLINGS.items():
        torch.manual_seed(0)
        with mock.patch.object(fusion_head, 'max_unpool_by_positions', unpool):
            scores[name] = 100 * runner.test()[report.HEADLINE]
    print(f'| unpooled map | {report.METRICS[report.HEADLINE]} |\n|---|---|')
    for name, score in scores.items():
        print(f'| {name} | {score:.1f} |')


if __name__ == '__main__':
    main()
