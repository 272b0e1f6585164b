"""Train rows x seeds under an equal budget, resume interrupted runs, and report.

    LSPET_ROOT=/data/lspet python projects/real_photo_study/run.py --seeds 0 1 2

Each finished run appends a record to results/SCALE/records.jsonl. A run with a record of the same
config is not repeated. report.py makes tables and pictures from the records alone.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import records
import report
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from rows import ROWS, canonical, config_file, load, options

from refinepose_mm.benchmark.measure import device_name
from refinepose_mm.complexity import count

SCALES = ('cpu', 'cpu_long', 'gpu')
# The parts of a config that a result depends on: no paths, no hooks.
DECISIVE = ('model', 'train_pipeline', 'val_pipeline', 'optim_wrapper', 'param_scheduler',
            'train_cfg')
BEFORE = 'before'  # folder of the test of the weights that a run starts from


def fingerprint(config: Config) -> str:
    """A hash of the parts of a config that a result depends on."""
    decisive = {key: config[key] for key in DECISIVE}
    decisive['batch_size'] = config.train_dataloader.batch_size
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


def missing(rows: Sequence[str], seeds: Sequence[int], scale: str,
            done: Sequence[dict]) -> list[tuple[str, int]]:
    """Rows and seeds that have no record of the config as it is now, seed by seed."""
    recorded = {(record['row'], record['seed'], record['fingerprint']) for record in done}
    fingerprints = {row: fingerprint(load(row, scale)) for row in rows}
    return [(row, seed) for seed, row in itertools.product(seeds, rows)
            if (row, seed, fingerprints[row]) not in recorded]


def train(row: str, seed: int, args: argparse.Namespace, threads: int) -> Path:
    """Train with `mim train` in a process of its own; returns the work directory.

    Raises:
        RuntimeError: If the training fails or pretrained weights are missing; names the log or
            the weights.
    """
    config = load(row, args.scale)
    pretrained = config.model.backbone.init_cfg
    start = pretrained.checkpoint if pretrained else config.load_from
    if start and not Path(start).is_file():
        raise RuntimeError(f'{row}, seed {seed}: starts from {start}, which is not there; '
                           'README.md says how it is made')
    # A changed config gets a new folder: its old checkpoints do not fit.
    work_dir = args.work_dir / args.scale / f'{row}_seed{seed}_{fingerprint(config)}'
    work_dir.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ, STUDY_SCALE=args.scale, OMP_NUM_THREADS=str(threads))
    log = work_dir / 'output.txt'

    def mim(command: str, folder: Path, *arguments: object) -> None:
        words = [Path(sys.executable).parent / 'mim', command, 'mmpose', config_file(row),
                 '--gpus', int(args.scale == 'gpu'), '--work-dir', folder, *arguments]
        with log.open('a') as output:
            code = subprocess.run(list(map(str, words)), env=environment, stdout=output,
                                  stderr=subprocess.STDOUT).returncode
        if code:
            raise RuntimeError(f'{row}, seed {seed}: mim {command} ended with exit code {code}; '
                               f'see {log}')

    if config.load_from and not before(work_dir):
        mim('test', work_dir / BEFORE, '--checkpoint', config.load_from)
    mim('train', work_dir, '--resume', 'auto', '--cfg-options', f'randomness.seed={seed}',
        *(f'{key}={value}' for key, value in options(row).items()))
    return work_dir


def before(work_dir: Path) -> dict:
    """The metrics of what a run starts from, if it starts from a whole model."""
    return next((json.loads(file.read_text()) for file in work_dir.glob(f'{BEFORE}/*/*.json')), {})


def make_record(row: str, seed: int, scale: str, work_dir: Path, threads: int) -> dict:
    """The record of a finished run, from MMEngine's logs."""
    config = load(row, scale)
    lines = [json.loads(line) for log in sorted(work_dir.glob('*/vis_data/scalars.json'))
             for line in log.read_text().splitlines()]
    metrics = {line['step']: {name: value for name, value in line.items()
                              if '/' in name and not name.endswith('time')}
               for line in lines if 'coco/AP' in line}  # a resumed epoch counts once
    started = before(work_dir)
    if started:
        metrics[0] = {name: started[name] for name in records.METRICS}
    steps = [line for line in lines if 'loss' in line]
    height, width = config.model.backbone.img_size
    params, macs = count(config.model, (height, width))
    device = torch.device('cuda' if scale == 'gpu' else 'cpu')
    return dict(
        row=row, seed=seed, scale=scale, fingerprint=fingerprint(config),
        params=params, macs=macs,
        metrics={str(epoch): values for epoch, values in sorted(metrics.items())},
        losses=[[step['step'], step['loss']] for step in steps],
        machine=device_name(device), threads=threads, torch=torch.__version__,
        date=datetime.date.today().isoformat())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--scale', choices=SCALES, default='cpu')
    parser.add_argument('--rows', nargs='+', type=canonical, choices=ROWS, default=ROWS,
                        metavar='ROW', help=f'default: all: {", ".join(ROWS)}')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, default=1,
                        help='runs at a time, which share the CPU threads')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/real_photo_study'))
    parser.add_argument('--results', type=Path, default=report.RESULTS)
    args = parser.parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')  # no line for each variable of a config
    if args.scale == 'gpu' and not torch.cuda.is_available():
        sys.exit('error: --scale gpu needs a CUDA device, and torch finds none')
    annotations = Path(load(args.rows[0], args.scale).val_evaluator[-1].ann_file)
    if not annotations.is_file():
        sys.exit(f'error: {annotations} not found; set LSPET_ROOT to the folder of LSP-Extended')

    results = args.results / args.scale
    results.mkdir(parents=True, exist_ok=True)
    file = results / records.RECORDS
    pending = missing(args.rows, args.seeds, args.scale, records.read(file))
    print(f'{len(args.seeds) * len(args.rows) - len(pending)} runs are done, {len(pending)} to do')
    threads = max(1, torch.get_num_threads() // args.jobs)

    def one(row: str, seed: int) -> str:
        started = time.time()
        work_dir = train(row, seed, args, threads)
        result = make_record(row, seed, args.scale, work_dir, threads)
        records.append(file, result)
        score, = records.final([result])
        return (f'{row}, seed {seed}: {records.METRICS[records.HEADLINE]} {score:.1f} %, '
                f'{(time.time() - started) / 60:.1f} min')

    failed = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for number, run in enumerate(as_completed(
                [pool.submit(one, *what) for what in pending]), start=1):
            try:
                print(f'[{number}/{len(pending)}] {run.result()}', flush=True)
            except RuntimeError as error:  # the others go on
                failed.append(error)
                print(f'[{number}/{len(pending)}] {error}', flush=True)
    if records.read(file):
        report.write(args.results)
    if failed:
        sys.exit(f'error: {len(failed)} of {len(pending)} runs failed')


if __name__ == '__main__':
    main()
