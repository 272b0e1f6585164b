"""Frames per second, from the file to the drawn file: ours, MMPose's inferencer and rtmlib.

    python projects/video/speed.py --output projects/video/results/speed.json

Needs the packages of requirements/export.txt and requirements/rtmlib.txt. All run the bundled model
on the same film of toy people, in turns; each draws, and writes a video.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Callable

import cv2
import numpy as np
from walkers import paint, walk

from refinepose_mm.bundled import bundled
from refinepose_mm.cli import main as refinepose
from refinepose_mm.deploy import media, predict, predictor, results, video
from refinepose_mm.deploy.detectors import Detector
from refinepose_mm.engine.memory import keep_memory
from refinepose_mm.ops.processor import processor_name

SIZE = (640, 480)
DETECTOR = """_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
model = dict(backbone=dict(init_cfg=None))
"""
# Parts of ours that are timed: where they are, their names, and what they are called here.
PARTS = (
    (predictor.BatchPredictor, '_predict', 'network, flip test, decoding'),
    (media.Painter, '__call__', 'drawing'),
    (video.VideoWriter, 'write', 'encoding'),
    (results.Results, 'write', 'json'),
    (video, 'upright', 'colours of read frames'),
)


def draw_film(path: Path, frames: int) -> None:
    """Two toy people who pass each other."""
    writer = video.VideoWriter(path, Fraction(25), Fraction(1, 25), [])
    for number, step in enumerate(walk(np.random.default_rng(0), 2, frames, size=SIZE)):
        writer.write(video.Frame(str(number), paint(step, SIZE), Fraction(number, 25)))
    writer.close()


def save_detector(folder: Path) -> tuple[str, str]:
    """RTMDet-tiny with random weights, which takes the whole frame for a person."""
    import mmdet.models  # noqa: F401, registers
    import torch
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import DefaultScope
    (folder / 'rtmdet.py').write_text(DETECTOR)
    config = Config.fromfile(folder / 'rtmdet.py')
    config.model.backbone.init_cfg = None
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(config.model)
    for level, layer in enumerate(model.bbox_head.rtm_cls):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, -10)
        layer.bias.data[0] = 1. if level == 2 else -10.
    for layer in model.bbox_head.rtm_reg:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, 30)
    torch.save(dict(state_dict=model.state_dict()), folder / 'rtmdet.pth')
    return str(folder / 'rtmdet.py'), str(folder / 'rtmdet.pth')


def ours(film: Path, config: str, weights: str, folder: Path,
         detector: tuple[str, str] | None = None) -> Callable:
    """`refinepose predict`, built before the clock runs."""
    network = predictor.BatchPredictor(config, weights)
    persons = Detector(*detector, batch_size=8) if detector else None

    def run() -> None:
        predict.predict(network, video.Video(film), persons, folder / 'ours', .3,
                        predict.Problems(strict=True))

    return run


def theirs(film: Path, config: str, weights: str, folder: Path, **options: str) -> Callable:
    """MMPose's inferencer; it is built before the clock runs."""
    from mmpose.apis import MMPoseInferencer
    inferencer = MMPoseInferencer(pose2d=config, pose2d_weights=weights, device='cpu', **options)

    def run() -> None:
        for _ in inferencer(str(film), out_dir=str(folder / 'mmpose'), bbox_thr=.3):
            pass

    return run


def rtmlib(film: Path, model: str, folder: Path) -> Callable:
    """rtmlib's loop as its own demonstrations have it: read, find, draw, write."""
    from rtmlib import ViTPose
    network = ViTPose(model, model_input_size=(128, 128), backend='onnxruntime', device='cpu')

    def run() -> None:
        reader = cv2.VideoCapture(str(film))
        writer = cv2.VideoWriter(str(folder / 'rtmlib.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 25,
                                 SIZE)
        while True:
            done, image = reader.read()
            if not done:
                break
            keypoints, scores = network(image)
            for points, values in zip(keypoints, scores):
                for (x, y), score in zip(points, values):
                    if score > .3:
                        cv2.circle(image, (int(x), int(y)), 4, (0, 255, 0), -1, cv2.LINE_AA)
            writer.write(image)
        writer.release()

    return run


def profile(run: Callable) -> dict[str, float]:
    """Seconds of the parts of ours."""
    seconds: dict[str, float] = {}

    def timed(function: Callable, name: str) -> Callable:
        def call(*args, **options):
            start = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                seconds[name] = seconds.get(name, 0) + time.perf_counter() - start
        return call

    before = [(place, name, getattr(place, name)) for place, name, _ in PARTS]
    for (place, name, function), (_, _, title) in zip(before, PARTS):
        setattr(place, name, timed(function, title))
    try:
        start = time.perf_counter()
        run()
        seconds['all'] = time.perf_counter() - start
    finally:
        for place, name, function in before:
            setattr(place, name, function)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=100)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--output', type=Path)
    parser.add_argument('--detector', action='store_true', help='the runs with a detector')
    args = parser.parse_args()
    import torch
    keep_memory()  # as the command does; it serves all
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        film = folder / 'film.mp4'
        draw_film(film, args.frames)
        demo = bundled('demo')
        config = folder / 'demo_without_flip.py'
        config.write_text(
            f'_base_ = {str(demo.config)!r}\nmodel = dict(test_cfg=dict(flip_test=False))\n'
            "visualizer = dict(type='PoseLocalVisualizer', name='visualizer', "
            "vis_backends=[dict(type='LocalVisBackend')])\n"
            # The inferencer reads names of joints there.
            'train_dataloader = dict(dataset={{_base_.test_dataloader.dataset}})\n')
        checkpoint = folder / 'demo.pth'
        from safetensors.torch import load_file
        torch.save(dict(state_dict=load_file(demo.weights)), checkpoint)
        weights, plain = str(checkpoint), str(config)
        for name, words in (('demo.onnx', ()), ('rtmlib.onnx', ('--interface', 'rtmlib'))):
            assert refinepose(['export', plain, weights, '--format', 'onnx', '--output',
                               str(folder / name), *words]) == 0
        detector = save_detector(folder)
        runs = {
            'ours, checkpoint': ours(film, plain, weights, folder),
            "MMPose's inferencer, checkpoint": theirs(film, plain, weights, folder,
                                                      det_model='whole_image'),
            'ours, ONNX': ours(film, plain, str(folder / 'demo.onnx'), folder),
            'rtmlib, ONNX': rtmlib(film, str(folder / 'rtmlib.onnx'), folder),
            'ours, checkpoint, RTMDet-tiny': ours(film, plain, weights, folder, detector),
            "MMPose's inferencer, checkpoint, RTMDet-tiny": theirs(
                film, plain, weights, folder, det_model=detector[0], det_weights=detector[1],
                det_cat_ids=[0]),
        }
        profiled = runs['ours, checkpoint']
        runs = {name: run for name, run in runs.items() if ('RTMDet' in name) == args.detector}
        times: dict[str, list[float]] = {name: [] for name in runs}
        for number in range(args.rounds + 1):
            for name, run in runs.items():
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(
                        io.StringIO()):
                    start = time.perf_counter()
                    run()
                if number:  # the first round warms up
                    times[name].append(time.perf_counter() - start)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            parts = profile(profiled)
        stack.close()
    print(f'{args.frames} frames of {SIZE[0]}x{SIZE[1]}, one person each, median of {args.rounds} '
          f'rounds, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}')
    print('| what | frames/s |\n|---|---|')
    for name, seconds in times.items():
        print(f'| {name} | {args.frames / statistics.median(seconds):.1f} |')
    print('\n| part of ours, checkpoint | ms per frame |\n|---|---|')
    for name, seconds in sorted(parts.items(), key=lambda item: -item[1]):
        print(f'| {name} | {1000 * seconds / args.frames:.1f} |')
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(dict(
            frames=args.frames, seconds=times, parts=parts, threads=torch.get_num_threads(),
            load=os.getloadavg(), machine=processor_name(), cores=os.cpu_count(),
            torch=torch.__version__), indent=1) + '\n')


if __name__ == '__main__':
    main()
