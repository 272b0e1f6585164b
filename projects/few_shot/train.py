"""Train on few persons, from nothing and from trained weights, as `refinepose new` and `train` do.

    python projects/few_shot/train.py --lspet /data/lspet --weights teachers --seeds 0

Each finished run appends a line to results/records.jsonl; a run that has one is not repeated.
table.py makes the table from the records alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import torch
from ways import RECORDS, SIZES, WAYS, Run, append, key, name_of, options, read

from refinepose_mm.benchmark.measure import device_name

BIN = Path(sys.executable).parent
METRICS = ('bbox@0.05/PCK', 'bbox@0.1/PCK', 'bbox@0.2/PCK', 'coco/AP')
# Joints of one's own have other names than the trained model's: the last layer starts anew.
OTHER_NAMES = '_of_mine'


def subset(annotations: Path, persons: int | None, seed: int, rename: bool, output: Path) -> None:
    """Write some of the photos, at random; a smaller subset of a seed is part of a larger one."""
    data = json.loads(annotations.read_text())
    data['images'].sort(key=lambda image: image['id'])
    random.Random(seed).shuffle(data['images'])
    data['images'] = data['images'][:persons]
    kept = {image['id'] for image in data['images']}
    data['annotations'] = [person for person in data['annotations'] if person['image_id'] in kept]
    if rename:
        for category in data['categories']:
            category['keypoints'] = [name + OTHER_NAMES for name in category['keypoints']]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(data))


def execute(command: list[object], log: Path) -> None:
    """Run a command with its output in a file.

    Raises:
        RuntimeError: If it fails; names the log.
    """
    with log.open('w') as output:
        code = subprocess.run(list(map(str, command)), stdout=output, stderr=subprocess.STDOUT,
                              env=dict(os.environ, OMP_NUM_THREADS='1')).returncode
    if code:
        raise RuntimeError(f'exit code {code}; see {log}')


def train(run: Run, args: argparse.Namespace) -> dict:
    """Make the project, train it, and return the record."""
    way = WAYS[run.way]
    folder = args.work_dir / name_of(run)
    shutil.rmtree(folder, ignore_errors=True)  # of an interrupted run, minutes of work
    rename = way.weights != 'refinepose' or not way.same_joints
    parts = dict(train=(args.lspet / 'lspet_train.json', run.persons, run.seed),
                 val=(args.lspet / 'lspet_val.json', None, 0))
    for part, (source, persons, seed) in parts.items():
        subset(source, persons, seed, rename, folder / f'{part}.json')
    start = ['--from', args.weights / f'{way.weights}.pth'] if way.weights else []
    execute([BIN / 'refinepose', 'new', folder / 'train.json', '--images', args.lspet / 'train',
             '--val', folder / 'val.json', '--val-images', args.lspet / 'val', *start,
             '--output', folder / 'project'], folder / 'new.txt')
    execute([BIN / 'refinepose', 'train', folder / 'project/config.py', '--gpus', '0',
             '--cfg-options', *options(run)], folder / 'train.txt')
    log, = folder.glob('project/run/*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return dict(
        **run._asdict(),
        metrics={line['step']: {name: line[name] for name in METRICS}
                 for line in lines if METRICS[0] in line},
        machine=device_name(torch.device('cpu')), torch=torch.__version__,
        date=datetime.date.today().isoformat())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--lspet', type=Path, required=True, help='folder of LSP-Extended')
    parser.add_argument('--weights', type=Path, required=True,
                        help='folder of vitpose.pth, refinepose.pth and transplant.pth, trained '
                             'on other photos')
    parser.add_argument('--persons', nargs='+', type=int, choices=SIZES, default=list(SIZES))
    parser.add_argument('--ways', nargs='+', choices=WAYS, default=list(WAYS))
    parser.add_argument('--steps', type=int, help='default: those of the number of persons')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time, a thread each')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/few_shot'))
    parser.add_argument('--records', type=Path, default=RECORDS)
    args = parser.parse_args()
    runs = [Run(persons, way, args.steps or SIZES[persons], seed) for seed in args.seeds
            for way in args.ways for persons in args.persons]
    done = {key(record) for record in read(args.records)}
    pending = [run for run in runs if run not in done]
    absent = {f'{WAYS[run.way].weights}.pth' for run in pending if WAYS[run.way].weights
              and not (args.weights / f'{WAYS[run.way].weights}.pth').is_file()}
    if absent:
        sys.exit(f'error: {args.weights} has no {", ".join(sorted(absent))}')
    print(f'{len(runs) - len(pending)} runs are done, {len(pending)} to do', flush=True)
    failed = 0
    with ThreadPoolExecutor(args.jobs) as pool:
        futures = {pool.submit(train, run, args): run for run in pending}
        for future in as_completed(futures):
            name = name_of(futures[future])
            try:
                record = future.result()
            except RuntimeError as error:  # the others go on
                failed += 1
                print(f'{name}: {error}', flush=True)
                continue
            append(args.records, record)
            print(f'{name}: PCK@0.1 {100 * list(record["metrics"].values())[-1][METRICS[1]]:.1f} '
                  '%', flush=True)
            shutil.rmtree(args.work_dir / name)
    if failed:
        sys.exit(f'error: {failed} of {len(pending)} runs failed')


if __name__ == '__main__':
    main()
