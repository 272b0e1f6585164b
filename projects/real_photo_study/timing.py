"""Time a training step of every row in one process, into results/SCALE/timing.json.

    LSPET_ROOT=/data/lspet python projects/real_photo_study/timing.py --scale cpu --threads 1

Rows take turns. The times of the training runs cannot be compared: they share a machine with each
other, and not all ran on the same one.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
from pathlib import Path
from typing import Callable

import report
import rows
import run
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from mmpose.registry import MODELS

from refinepose_mm.benchmark.measure import compare, device_name


def make_step(config: Config, batch: dict, device: torch.device) -> Callable[[], object]:
    """A training step of a config's model on a loaded batch."""
    model = MODELS.build(config.model).to(device).train()
    optimizer = build_optim_wrapper(model, config.optim_wrapper)
    return lambda: model.train_step(batch, optimizer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--scale', choices=run.SCALES, default='cpu')
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--threads', type=int, default=1, help='CPU threads')
    parser.add_argument('--results', type=Path, default=report.RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device('cuda' if args.scale == 'gpu' else 'cpu')
    configs = {row: rows.load(row, args.scale) for row in rows.ROWS}
    config = configs[rows.ROWS[0]]
    init_default_scope(config.default_scope)
    set_random_seed(0)
    batch = next(iter(Runner.build_dataloader(config.train_dataloader)))
    seconds = compare({row: make_step(config, batch, device) for row, config in configs.items()},
                      args.rounds, device)
    images = config.train_dataloader.batch_size
    path = args.results / args.scale / report.TIMING
    path.write_text(json.dumps(dict(
        ms_per_image={row: 1e3 * statistics.median(times) / images
                      for row, times in seconds.items()},
        machine=device_name(device), threads=args.threads, rounds=args.rounds,
        torch=torch.__version__, date=datetime.date.today().isoformat()), indent=1))
    print(f'wrote {path}')


if __name__ == '__main__':
    main()
