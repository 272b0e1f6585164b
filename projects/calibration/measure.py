"""What calibration is worth, by cross-fitting, for each engine and precision.

    export LSPET_ROOT=/data/lspet
    python projects/calibration/measure.py results.json --picture reliability.png

Needs what `requirements/export.txt` lists. Rows whose engine is missing are left out, by name.
"""

from __future__ import annotations

import argparse
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable

import matplotlib
import numpy as np
import torch
from mmengine.config import Config

from refinepose_mm.bundled import DEMO, bundled
from refinepose_mm.coco import COCO, COCOeval
from refinepose_mm.deploy.calibrate import Persons, Scores, cross_fitted, errors_of, find
from refinepose_mm.deploy.calibration import JOINT_BINS, TOLERANCE, calibration_error
from refinepose_mm.deploy.export import export
from refinepose_mm.deploy.fold import fold
from refinepose_mm.deploy.formats import load_exported
from refinepose_mm.deploy.network import InferenceNetwork, load_model
from refinepose_mm.deploy.poses import mean_of_high
from refinepose_mm.deploy.predictor import BatchPredictor
from refinepose_mm.deploy.quantize import calibration_images, quantize

matplotlib.use('agg')
TRAINING = Path(__file__).parents[1] / 'demo_model/refinepose_demo_lspet.py'
SIMULATIONS = 20  # of scores that are perfectly calibrated


def checkpoint() -> BatchPredictor:
    return BatchPredictor(DEMO, raw_scores=True)


def in_bfloat16() -> BatchPredictor:
    predictor = checkpoint()
    network = InferenceNetwork(fold(load_model(*bundled(DEMO)[:2])))

    @torch.no_grad()
    def engine(images: torch.Tensor) -> list[torch.Tensor]:
        with torch.autocast('cpu', torch.bfloat16):
            return [network(images).float()]

    predictor.engine = engine
    return predictor


def from_file(path: Path, precision: str = 'f32') -> BatchPredictor:
    predictor = BatchPredictor(DEMO, path, raw_scores=True)
    call = load_exported(path, precision)
    predictor.engine = lambda images: [torch.from_numpy(out) for out in call(images.numpy())]
    return predictor


def engines(config: Config, folder: Path) -> dict[str, Callable[[], BatchPredictor]]:
    """Predictors by the names of their rows; files are written when they are asked for."""

    def written(name: str, **options: Any) -> Path:
        path = folder / name
        if not path.exists():
            export(load_model(*bundled(DEMO)[:2]), path, **options)
        return path

    def in_8_bits() -> Path:
        path = folder / 'int8.xml'
        if not path.exists():
            quantize(written('f32.xml'), path, calibration_images(config, 300))
        return path

    def without_flip() -> BatchPredictor:
        predictor = checkpoint()
        predictor.flip_test = False
        return predictor

    return {
        'PyTorch, f32': checkpoint,
        'PyTorch, f32, no flip test': without_flip,
        'PyTorch, bf16': in_bfloat16,
        'ONNX, f32': lambda: from_file(written('f32.onnx')),
        'ONNX, f16': lambda: from_file(written('f16.onnx', precision='f16')),
        'OpenVINO, f32': lambda: from_file(written('f32.xml')),
        'OpenVINO, bf16': lambda: from_file(written('f32.xml'), 'bf16'),
        'OpenVINO, 8 bits': lambda: from_file(in_8_bits()),
    }


def average_precision(annotations: Path, keypoints: np.ndarray, scores: np.ndarray,
                      ids: list[int], sigmas: np.ndarray) -> float:
    """COCO's AP of one person an image, in per cent."""
    with redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        results = truth.loadRes([
            dict(image_id=number, category_id=1, score=float(score),
                 keypoints=np.column_stack([points, np.ones(len(points))]).flatten().tolist())
            for number, points, score in zip(ids, keypoints, scores)])
        evaluation = COCOeval(truth, results, sigmas=sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return round(100 * float(evaluation.stats[0]), 2)


def perfect(scores: Scores, seed: int) -> dict[str, float]:
    """Calibration errors of probabilities that are true: what chance alone gives."""
    rng = np.random.default_rng(seed)
    drawn = [rng.random(scores.keypoints.shape) < scores.keypoints for _ in range(SIMULATIONS)]
    return dict(
        ece=np.mean([calibration_error(scores.keypoints.ravel(), right.ravel())
                     for right in drawn]),
        joints=np.mean([calibration_error(scores.keypoints[:, joint], right[:, joint], JOINT_BINS)
                        for right in drawn for joint in range(right.shape[1])]))


def shown(scores: np.ndarray, right: np.ndarray, threshold: float) -> dict[str, float]:
    """What a threshold shows: share of keypoints, of right ones in them, of the right ones."""
    above = scores >= threshold
    return dict(threshold=threshold, shown=above.mean(), right=right[above].mean(),
                found=(above & right).sum() / right.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('output', type=Path)
    parser.add_argument('--picture', type=Path)
    parser.add_argument('--seeds', type=int, default=5, help='of the folds')
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = Config.fromfile(TRAINING)
    dataset = config.val_dataloader.dataset
    annotations = Path(dataset.get('data_root') or '', dataset.ann_file)
    table: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        eager = None
        for name, build in engines(config, Path(folder)).items():
            try:
                predictor = build()
            except ImportError as error:
                print(f'{name}: left out, {error}')
                continue
            persons = find(predictor, dataset)
            eager = persons if eager is None else eager
            table[name] = row(predictor, persons, eager, annotations, args.seeds)
            print(name, json.dumps(table[name]), flush=True)
    if args.picture:
        draw(eager, predictor.names, args.picture)
    args.output.write_text(json.dumps(table, indent=1) + '\n')


def row(predictor: BatchPredictor, persons: Persons, eager: Persons, annotations: Path,
        seeds: int) -> dict[str, Any]:
    """The figures of an engine, means over seeds of the folds."""
    joints, similarities = predictor.names, persons.similarities
    right = similarities >= TOLERANCE
    ids = persons.images.tolist()
    heights = Scores(persons.heights, mean_of_high(persons.heights))
    found = {'heights': [heights]}
    for kind, source in (('own', persons), ('eager', eager)):
        found[kind] = [cross_fitted(joints, source, seed=seed, used=persons.heights)
                       for seed in range(seeds)]
    figures: dict[str, Any] = {}
    for kind, several in found.items():
        errors = [errors_of(scores, similarities) for scores in several]
        figures[kind] = dict(
            {name: np.mean([error[name] for error in errors]) for name in ('ece', 'brier', 'oks')},
            joints=np.mean([error['ece_of_joints'] for error in errors]),
            ap=np.mean([average_precision(annotations, persons.keypoints, scores.persons, ids,
                                          predictor.metainfo['sigmas']) for scores in several]))
    figures['ece_of_joints'] = {
        joint: [before, after] for joint, before, after in zip(
            joints, errors_of(heights, similarities)['ece_of_joints'],
            np.mean([errors_of(scores, similarities)['ece_of_joints']
                     for scores in found['own']], axis=0))}
    figures['perfect'] = perfect(found['own'][0], 0)
    figures['shown'] = [shown(persons.heights, right, .3),
                        *(shown(found['own'][0].keypoints, right, at) for at in (.3, .5))]
    figures['best_ap'] = average_precision(
        annotations, persons.keypoints, np.nanmean(similarities, 1), ids,
        predictor.metainfo['sigmas'])
    return json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 4))


def draw(persons: Persons, joints: tuple[str, ...], path: Path) -> None:
    """Shares of right keypoints over scores, before and after."""
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 4), sharey=True, constrained_layout=True)
    after = cross_fitted(joints, persons).keypoints
    right = persons.similarities >= TOLERANCE
    for axis, scores, title in zip(axes, (persons.heights, after),
                                   ('heights of maxima', 'calibrated, other images')):
        axis.plot([0, 1], [0, 1], color='.6', linestyle='--', linewidth=1)
        for name, style in (('right_hip', 'C1'), ('right_wrist', 'C2')):
            axis.plot(*curve(scores[:, joints.index(name)], right[:, joints.index(name)], 8),
                      style, marker='.', linewidth=1, label=name.replace('_', ' '))
        axis.plot(*curve(scores.ravel(), right.ravel(), 15), 'C0', marker='o', markersize=4,
                  label='all joints')
        axis.set(title=title, xlabel='score', xlim=(0, 1), ylim=(0, 1), aspect='equal')
    axes[0].set_ylabel(f'share of right keypoints (OKS {TOLERANCE:g} or more)')
    axes[1].legend(loc='lower right')
    figure.savefig(path, dpi=100)


def curve(scores: np.ndarray, right: np.ndarray, bins: int) -> tuple[list[float], list[float]]:
    parts = np.array_split(np.argsort(scores, kind='stable'), bins)
    return [scores[part].mean() for part in parts], [right[part].mean() for part in parts]


if __name__ == '__main__':
    main()
