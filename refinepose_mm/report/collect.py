"""Test a model as `refinepose test` does, and keep what it found beside the truth."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.evaluation.metrics import CocoMetric, MpiiPCKAccuracy

from ..coco import AREA_OF_BOX
from ..deploy.config import explained
from ..deploy.evaluate import test_runner
from .precision import oks_matrix
from .table import NOBODY, Found, Joints, Table, Truth, overlap

LEAST_OKS, LEAST_OVERLAP = .1, .5  # of a predicted person with an annotated one
KINDS = ('keypoints', 'keypoints_crowd')  # types of COCO's evaluation that precision.py follows


class Sample(NamedTuple):
    """What a test keeps of a person: arrays without the batch's dimension, the rest as it was."""

    id: Any
    image_id: Any
    category: int
    path: str
    joints: np.ndarray
    scores: np.ndarray
    box: np.ndarray
    box_score: float
    truth: np.ndarray
    visible: np.ndarray
    annotation: dict
    center: np.ndarray
    scale: np.ndarray


class Collected(NamedTuple):
    """A test that was run.

    Attributes:
        metrics: As `refinepose test` prints them.
        evaluators: The config's metrics.
        results: What each of them kept of each person.
        table: Truth and predictions.
        coco: The first of the evaluators that has COCO's AP, if one has.
        runner: Of the test.
    """

    metrics: dict[str, float]
    evaluators: list[BaseMetric]
    results: list[list]
    table: Table
    coco: CocoMetric | None
    runner: Runner


class Recorder(Hook):
    """Keeps the samples of a test, and what its metrics make of them."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.results: list[list] = []

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: object = None,
                        outputs: Sequence | None = None) -> None:
        self.samples += map(_sample, outputs or [])
        if batch_idx + 1 == len(runner.test_loop.dataloader):  # the evaluator empties them
            self.results = [list(metric.results) for metric in runner.test_evaluator.metrics]


def _sample(output: Any) -> Sample:
    found, truth = output.pred_instances, output.gt_instances
    if len(found.keypoints) != 1:
        raise ValueError('a report is of top-down models, which find one person in each box; this '
                         f'one found {len(found.keypoints)}')
    return Sample(
        output.get('id'), output.get('img_id'), int(output.get('category_id', None) or 1),
        str(output.get('img_path', '')),
        np.array(found.keypoints[0, :, :2], float), np.array(found.keypoint_scores[0], float),
        np.array(truth.bboxes[0], float), float(np.ravel(truth.get('bbox_scores', [1.]))[0]),
        np.array(truth.keypoints[0, :, :2], float),
        np.array(truth.keypoints_visible[0]).reshape(len(truth.keypoints[0]), -1)[:, 0] > 0,
        output.get('raw_ann_info', None) or {},
        np.array(output.input_center, float), np.array(output.input_scale, float))


def collect(config: Config, weights: str | Path, precision: str = 'f32',
            trust: bool = False) -> Collected:
    """Test a model on its config's test data.

    Args:
        config: Config of the model.
        weights: A checkpoint, or an exported file.
        precision: As for :func:`~refinepose_mm.deploy.evaluate.evaluate`.
        trust: As there.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If config, data and weights do not fit, or the model is not top-down.
    """
    config = config.copy()
    config.log_level = 'WARNING'
    recorder = Recorder()
    # What MMEngine logs and MMPose prints is no part of what a command says.
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        # MMEngine keeps loggers and visualizers by name, with the folder of the first to ask.
        config.experiment_name = folder.replace('/', '_')
        config.visualizer = dict(type='PoseLocalVisualizer', name=config.experiment_name)
        runner = test_runner(config, weights, precision, folder, trust)
        runner.register_hook(recorder)
        with explained(f'{config.filename or "the config"} cannot be evaluated'):
            metrics = runner.test()
        evaluators = list(runner.test_evaluator.metrics)
        coco = next((metric for metric in evaluators if isinstance(metric, CocoMetric)
                     and metric.iou_type in KINDS and metric.pred_converter is None), None)
        ranks = ({} if coco is None else
                 _ranks(coco, recorder.results[evaluators.index(coco)]))
    table = _table(runner, recorder.samples, coco, ranks,
                   any(isinstance(metric, MpiiPCKAccuracy) for metric in evaluators))
    calibration = runner.model.calibration
    if calibration is not None:  # as `refinepose predict` gives scores
        table.found.scores = calibration.probabilities(table.found.scores)
    return Collected({name: float(value) for name, value in metrics.items()}, evaluators,
                     recorder.results, table, coco, runner)


def heatmaps(collected: Collected, places: np.ndarray, batch: int = 16) -> np.ndarray | None:
    """(n, K, h, w), of some samples of the test data; None if the model's file has none.

    Args:
        collected: The test.
        places: (n,), of the samples in the test data set.
        batch: How many at a time.
    """
    runner = collected.runner
    model, dataset = runner.model, runner.test_loop.dataloader.dataset
    found = []
    before, model.test_cfg = model.test_cfg, dict(model.test_cfg or {}, output_heatmaps=True)
    try:
        for start in range(0, len(places), batch):
            samples = [dataset[int(place)] for place in places[start:start + batch]]
            with torch.no_grad():
                outputs = model.test_step(pseudo_collate(samples))
            if any('pred_fields' not in output for output in outputs):
                return None
            found += [output.pred_fields.heatmaps.float().cpu().numpy() for output in outputs]
    finally:
        model.test_cfg = before
    return np.array(found)


def _ranks(metric: CocoMetric, results: list) -> dict[tuple, float]:
    """(image id, sample id) of the persons that AP counts -> the scores by which it ranks them.

    The metric is asked for its own list, after its suppression of doubles.
    """
    kept: dict[Any, list[dict]] = {}
    metric.results2json = lambda persons, outfile_prefix: kept.update(persons)
    metric.format_only, metric.gt_converter = True, None  # the truth is converted already
    metric.compute_metrics(results)
    return {(image, person['id']): float(person['score'])
            for image, persons in kept.items() for person in persons}


def _table(runner: Runner, samples: list[Sample], coco: CocoMetric | None,
           ranks: dict[tuple, float], one_based: bool) -> Table:
    """Truth and predictions as arrays."""
    dataset = runner.test_loop.dataloader.dataset
    info = dataset.metainfo
    detected = any(getattr(part, 'bbox_file', None)
                   for part in getattr(dataset, 'datasets', [dataset]))
    if coco is not None:
        image_ids = sorted(coco.coco.getImgIds())
        truth = _annotated(coco, {image: place for place, image in enumerate(image_ids)})
        names = [str(coco.coco.imgs[image].get('file_name', image)) for image in image_ids]
    else:
        image_ids = list(dict.fromkeys(sample.image_id for sample in samples))
        place = {image: number for number, image in enumerate(image_ids)}
        truth = _sampled(samples, place, one_based)
        names = []
    place = {image: number for number, image in enumerate(image_ids)}
    paths: list[Path | None] = [None] * len(image_ids)
    for sample in samples:
        paths[place[sample.image_id]] = Path(sample.path)
    names = names or [path.name if path else '' for path in paths]
    own = np.array([sample.scores.mean() for sample in samples])  # where there is no AP
    keys = [(sample.image_id, sample.id) for sample in samples]
    found = Found(
        np.arange(len(samples)), np.array([place[sample.image_id] for sample in samples], int),
        np.array([sample.category for sample in samples], int),
        np.array([sample.box for sample in samples]),
        np.array([sample.joints for sample in samples]),
        np.array([sample.scores for sample in samples]),
        np.array([ranks.get(key, mean) for key, mean in zip(keys, own)]) if ranks else own,
        np.array([not ranks or key in ranks for key in keys]),
        np.array([sample.center for sample in samples]),
        np.array([sample.scale for sample in samples]))
    count = len(truth.joints[0])
    joints = Joints(
        [info['keypoint_id2name'][joint] for joint in range(count)],
        np.array(info['flip_indices'], int), np.array(info['sigmas'], float),
        [(int(start), int(end)) for start, end in info['skeleton_links']],
        np.array(info['keypoint_colors'], int).reshape(-1, 3),
        np.array(info['skeleton_link_colors'], int).reshape(-1, 3))
    table = Table(paths, names, truth, found, np.full(len(truth.ids), NOBODY), joints, detected)
    table.match = _match_greedily(table) if detected else _match_by_id(table, samples)
    return table


def _annotated(metric: CocoMetric, place: dict) -> Truth:
    """All persons of the metric's annotations, also those that the test data leaves out."""
    coco = metric.coco
    persons = coco.loadAnns(coco.getAnnIds(imgIds=list(place)))
    persons = [person for person in persons if person.get('keypoints')]
    points = np.array([person['keypoints'] for person in persons], float)
    points = points.reshape(len(persons), -1, 3)
    boxes = np.array([person['bbox'] for person in persons], float).reshape(-1, 4)
    areas = AREA_OF_BOX * boxes[:, 2] * boxes[:, 3]
    if metric.use_area:
        areas = np.array([person['area'] for person in persons], float)
    labelled = (points[..., 2] > 0).sum(1)
    if metric.iou_type == 'keypoints_crowd':
        labelled = np.array([person['num_keypoints'] for person in persons])
    crowd = np.array([bool(person.get('iscrowd')) for person in persons], bool)
    boxes[:, 2:] += boxes[:, :2]
    return Truth([person['id'] for person in persons],
                 np.array([place[person['image_id']] for person in persons], int),
                 np.array([person['category_id'] for person in persons], int), boxes, areas,
                 points[..., :2], np.clip(points[..., 2], 0, 2).astype(int), crowd,
                 crowd | (labelled == 0))


def _sampled(samples: list[Sample], place: dict, one_based: bool) -> Truth:
    """The persons of the test data, where no metric has annotations."""
    boxes = np.array([sample.box for sample in samples])
    areas = AREA_OF_BOX * (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    joints = np.array([sample.truth for sample in samples]) - one_based  # MPII counts from 1
    flags = np.array([sample.visible for sample in samples]) * 2
    for number, sample in enumerate(samples):
        areas[number] = sample.annotation.get('area') or areas[number]
        raw = np.ravel(sample.annotation.get('keypoints', []))
        if raw.size == 3 * flags.shape[1]:  # MMPose keeps whether, not how, a joint is labelled
            flags[number] = np.where(flags[number] > 0, np.clip(raw[2::3], 1, 2), 0)
    nobody = np.zeros(len(samples), bool)
    return Truth([sample.id for sample in samples],
                 np.array([place[sample.image_id] for sample in samples], int),
                 np.ones(len(samples), int), boxes, areas, joints, flags.astype(int), nobody,
                 ~(flags > 0).any(1))


def _match_by_id(table: Table, samples: list[Sample]) -> np.ndarray:
    """With annotated boxes, the person that was looked for in each."""
    row = {(int(table.found.image[number]), sample.id): number
           for number, sample in enumerate(samples)}
    return np.array([row.get((int(image), name), NOBODY)
                     for image, name in zip(table.truth.image, table.truth.ids)], int)


def _match_greedily(table: Table) -> np.ndarray:
    """With a detector's boxes, the predicted person of each annotated one.

    Persons of high scores choose first: by OKS of 0.1 or more, as a bad pose is still of somebody,
    and those who are left by boxes that overlap by half.
    """
    truth, found = table.truth, table.found
    match = np.full(len(truth.ids), NOBODY)
    persons = np.flatnonzero(~truth.ignored)
    for image in np.unique(truth.image[persons]):
        rows = persons[truth.image[persons] == image]
        ours = np.flatnonzero((found.image == image) & found.kept)
        ours = ours[np.argsort(-found.rank[ours], kind='stable')]
        oks = oks_matrix(found.joints[ours], truth, rows, table.joints.sigmas)
        boxes = overlap(found.boxes[ours][:, None], truth.boxes[rows])
        for likeness, least in ((oks, LEAST_OKS), (boxes, LEAST_OVERLAP)):
            for number, row in zip(ours, likeness):
                free = np.where(match[rows] == NOBODY, row, -1)
                if number not in match[rows] and free.size and free.max() >= least:
                    match[rows[free.argmax()]] = number
    return match
