"""What the data workers of a training run cost: memory for the annotations, and their start.

    python projects/benchmark/workers.py --photo photo.jpg --output workers.json

The data set has COCO's number of persons, all of them on one photo. Linux only: it reads
/proc/PID/smaps_rollup.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import DATASETS
from torch.utils.data import DataLoader

from refinepose_mm.benchmark.measure import machine

CONFIG = Path(__file__).resolve().parents[2] / 'configs' / 'refinepose_vitb_coco.py'
PERSONS_PER_PHOTO = 2.3  # of COCO train2017's photos with keypoints


def annotations(persons: int, width: int, height: int) -> dict:
    """COCO annotations with random keypoints."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, .5, (persons, 2)) * (width, height)
    size = rng.uniform(.2, .5, (persons, 2)) * (width, height)
    joints = corner[:, None] + rng.uniform(0, 1, (persons, 17, 2)) * size[:, None]
    joints = np.concatenate([joints, np.full((persons, 17, 1), 2)], 2).round().astype(int)
    return dict(
        images=[dict(id=number, file_name='photo.jpg', width=width, height=height)
                for number in range(int(persons / PERSONS_PER_PHOTO) + 1)],
        categories=[dict(id=1, name='person')],
        annotations=[
            dict(id=number, image_id=int(number / PERSONS_PER_PHOTO), category_id=1, iscrowd=0,
                 num_keypoints=17, area=float(size[number].prod()),
                 bbox=[*corner[number].tolist(), *size[number].tolist()],
                 keypoints=joints[number].ravel().tolist())
            for number in range(persons)])


def own_memory(pid: int) -> float:
    """MiB that a process shares with no other."""
    lines = Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith('Private_')) / 2**10


def first_batches(loader: DataLoader, epochs: int) -> list[float]:
    """Seconds from the start of an epoch to its first batch."""
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        batches = iter(loader)
        next(batches)
        seconds.append(time.perf_counter() - start)
        del batches  # ends the workers, which is not to be timed
    return seconds


def worker_memory(data: BaseDataset) -> float:
    """MiB that a forked process has for itself when it has read every person."""
    def read() -> None:
        before = own_memory(os.getpid())
        for index in range(len(data)):
            data.get_data_info(index)
        results.put(own_memory(os.getpid()) - before)

    context = multiprocessing.get_context('fork')
    results = context.SimpleQueue()
    process = context.Process(target=read)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f'the process that reads the annotations ended with {process.exitcode}')
    return results.get()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--photo', type=Path, required=True, help='any JPEG')
    parser.add_argument('--persons', type=int, default=150_000)
    parser.add_argument('--workers', type=int, default=4)
    parser.add_argument('--epochs', type=int, default=5, help='whose start is timed')
    parser.add_argument('--output', type=Path, required=True)
    args = parser.parse_args()
    init_default_scope('mmpose')
    config = Config.fromfile(CONFIG)
    result = dict(machine=machine(torch.device('cpu')), persons=args.persons, workers=args.workers)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(args.photo, Path(folder) / 'photo.jpg')
        height, width = cv2.imread(str(args.photo)).shape[:2]
        file = Path(folder) / 'persons.json'
        file.write_text(json.dumps(annotations(args.persons, width, height)))
        data = dict(config.train_dataloader.dataset, data_root=folder, ann_file=file.name,
                    data_prefix=dict(img=''))
        start = time.perf_counter()
        loader = Runner.build_dataloader(dict(
            config.train_dataloader, num_workers=args.workers, dataset=data), seed=0)
        result['build_s'] = time.perf_counter() - start
        result['first_batch_s'] = first_batches(loader, args.epochs)
        del loader
        result['worker_mib'] = {
            name: worker_memory(DATASETS.build(dict(data, serialize_data=serialize)))
            for name, serialize in dict(serialized=True, list=False).items()}
    print(json.dumps(result, indent=1))
    args.output.write_text(json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
    main()
