"""How many training samples a second one core prepares: MMPose's transforms, and ours.

    python projects/benchmark/pipeline.py --coco /data/coco --output times.json
    python projects/benchmark/pipeline.py --coco /data/coco --output times.json --megapixels 12

Photos are in memory's cache; no worker processes. All pipelines draw the same augmentations.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from refinepose_mm.benchmark.measure import compare, device_name

CONFIG = Path(__file__).resolve().parents[2] / 'configs' / 'refinepose_vitb_coco.py'
NAMES = dict(
    mmpose=dict(LoadCompleteImage='LoadImage', BatchedUDPHeatmap='UDPHeatmap'),
    complete={},
    crop=dict(LoadCompleteImage='OpenImage', TopdownAffine='DecodeCrop'))


def renamed(value: object, names: dict[str, str]) -> object:
    """A part of a config with other types."""
    if isinstance(value, dict):
        return {key: names.get(item, item) if key == 'type' else renamed(item, names)
                for key, item in value.items()}
    return [renamed(item, names) for item in value] if isinstance(value, list) else value


def enlarged(sample: dict, megapixels: float, folder: Path) -> dict:
    """The sample with its photo enlarged, as a JPEG of quality 92."""
    image = cv2.imread(sample['img_path'])
    factor = (megapixels * 1e6 / image[..., 0].size)**.5
    path = folder / Path(sample['img_path']).name
    image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return dict(sample, img_path=str(path), img_shape=image.shape[:2],
                **{key: sample[key] * factor for key in ('bbox', 'keypoints')})


def run_all(pipeline: Compose, samples: list[dict]) -> list[dict]:
    """Prepare all samples, with the same random numbers in each call."""
    np.random.seed(0)
    return [pipeline(dict(sample)) for sample in samples]


def step_times(pipeline: Compose, samples: list[dict]) -> dict[str, float]:
    """Milliseconds per sample of each step."""
    seconds: dict[str, float] = defaultdict(float)
    np.random.seed(0)
    for sample in samples:
        results = dict(sample)
        for step in pipeline.transforms:
            start = time.perf_counter()
            results = step(results)
            seconds[type(step).__name__] += time.perf_counter() - start
    return {name: 1e3 * total / len(samples) for name, total in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--coco', type=Path, required=True, help='folder of COCO')
    parser.add_argument('--split', default='val2017')
    parser.add_argument('--samples', type=int, default=64)
    parser.add_argument('--megapixels', type=float, help='enlarge the photos')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--output', type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    init_default_scope('mmpose')
    config = Config.fromfile(CONFIG)
    data = DATASETS.build(dict(
        config.train_dataloader.dataset, data_root=str(args.coco), pipeline=[],
        ann_file=f'annotations/person_keypoints_{args.split}.json',
        data_prefix=dict(img=f'{args.split}/')))
    samples = [data.get_data_info(index) for index in range(min(args.samples, len(data)))]
    pipelines = {name: Compose(renamed(config.train_pipeline, names))
                 for name, names in NAMES.items()}
    with tempfile.TemporaryDirectory() as folder:
        if args.megapixels:
            samples = [enlarged(sample, args.megapixels, Path(folder)) for sample in samples]
        seconds = compare({name: lambda pipeline=pipeline: run_all(pipeline, samples)
                           for name, pipeline in pipelines.items()},
                          args.rounds, torch.device('cpu'))
        steps = {name: step_times(pipeline, samples) for name, pipeline in pipelines.items()}
        outputs = {name: run_all(pipeline, samples) for name, pipeline in pipelines.items()}

    def difference(name: str, part: str) -> float:
        """Mean absolute difference from what MMPose makes."""
        first, second = (np.stack([value(sample, part) for sample in outputs[which]])
                         for which in ('mmpose', name))
        return float(np.abs(first - second).mean())

    def value(sample: dict, part: str) -> np.ndarray:
        if part == 'crop':
            return sample['inputs'].numpy().astype(float)
        return sample['data_samples'].gt_fields.heatmaps.numpy()

    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f'{len(samples)} samples, {device_name(torch.device("cpu"))}\n\n'
          '| pipeline | samples/s | of MMPose\'s | crop, grey levels | target |\n'
          '|---|---|---|---|---|')
    for name, median in medians.items():
        print(f'| {name} | {len(samples) / median:.0f} | {medians["mmpose"] / median:.2f} | '
              f'{difference(name, "crop"):.2f} | {difference(name, "target"):.1e} |')
    for name, times in steps.items():
        print(f'\n{name}, ms: ' + ', '.join(f'{step} {ms:.2f}' for step, ms in times.items()))
    args.output.write_text(json.dumps(dict(
        machine=device_name(torch.device('cpu')), samples=len(samples),
        megapixels=args.megapixels, seconds=seconds, steps=steps,
        differences={name: {part: difference(name, part) for part in ('crop', 'target')}
                     for name in NAMES}), indent=1) + '\n')


if __name__ == '__main__':
    main()
