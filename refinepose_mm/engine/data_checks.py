"""What is wrong with the data sets of a config, told by the config and one look at each file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Callable

from mmengine.config import Config

from .annotations import Annotations, box_problems

METAINFO = ('dataset_name', 'keypoint_info', 'skeleton_info', 'joint_weights', 'sigmas')
# One person per sample, with `head`, whose joints are those of the data that are tested.
TOPDOWN = ('TopdownPoseEstimator', 'MultiHeadPoseEstimator')
Reader = Callable[[str], Annotations]


def joint_problems(config: Config, dataset: dict, where: str) -> list[str]:
    """Heads that give another number of keypoints than the data set has."""
    model = config.get('model') or {}
    head = model.get('head') or {}
    outputs = head.get('out_channels')
    if (model.get('type') not in TOPDOWN or not isinstance(outputs, int)
            or (model.get('test_cfg') or {}).get('output_keypoint_indices')):
        return []
    if (head.get('decoder') or {}).get('heatmap_type') == 'combined':  # heatmap and two offsets
        outputs //= 3
    keypoints, problem = num_keypoints(dataset)
    converters = [step['num_keypoints'] for step in dataset.get('pipeline') or []
                  if step.get('type') == 'KeypointConverter']
    keypoints = converters[-1] if converters else keypoints
    if problem is None and keypoints != outputs:
        return [f'model.head.out_channels gives {outputs} keypoints, the metainfo of {where} has '
                f'{keypoints}']
    return []  # other problems are found with the parts of the data set


def num_keypoints(dataset: dict) -> tuple[int | None, str | None]:
    """Number of keypoints by a data set's metainfo, or what is wrong with it."""
    parsed, problem = _parsed_metainfo(dataset)
    return (parsed['num_keypoints'] if parsed else None), problem


def _parsed_metainfo(dataset: dict) -> tuple[dict | None, str | None]:
    """A data set's metainfo as MMPose reads it, or what is wrong with it."""
    from mmpose.datasets.datasets.utils import parse_pose_metainfo
    metainfo = dataset.get('metainfo') or getattr(_class_of(dataset), 'METAINFO', None)
    if not metainfo:
        return None, 'no metainfo, and no type that has one'
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of files that MMPose finds among its own
            source = metainfo.get('from_file')
            if source and os.path.isfile(source):
                metainfo = Config.fromfile(source).get('dataset_info') or {}
            missing = [field for field in METAINFO if field not in metainfo]
            if missing and 'from_file' not in metainfo:
                return None, f'{source or "metainfo"} has no {", ".join(missing)}'
            parsed = parse_pose_metainfo(deepcopy(metainfo))
    except Exception as error:  # a config file raises what it likes
        return None, f'metainfo is broken: {type(error).__name__} {_first_line(error)}'
    count = parsed['num_keypoints']
    for field, name in (('joint_weights', 'dataset_keypoint_weights'), ('sigmas', 'sigmas')):
        # Hands and faces have no sigmas, and metrics that need none.
        if len(parsed[name]) != count and (field != 'sigmas' or len(parsed[name])):
            return None, (f'metainfo has {count} keypoints in keypoint_info and '
                          f'{len(parsed[name])} in {field}')
    return parsed, None


def dataset_problems(dataset: dict, where: str, read: Reader, metrics: list[dict]) -> list[str]:
    """What is wrong with the files of a data set in COCO's format; of others, if they are there.

    Args:
        dataset: Its config.
        where: Its dotted name.
        read: Reads an annotation file.
        metrics: That its images are evaluated by.
    """
    from mmpose.datasets.datasets import BaseCocoStyleDataset
    if not isinstance(dataset, dict):
        return [f'{where} must be a dict, got {type(dataset).__name__}']
    kind = _class_of(dataset)
    if kind is None:
        return [f'{where}.type: no data set {dataset.get("type")} is registered']
    metainfo, problem = _parsed_metainfo(dataset)
    expected = metainfo['num_keypoints'] if metainfo else None
    if metainfo and not len(metainfo['sigmas']) and any(
            metric.get('type') == 'CocoMetric' for metric in metrics):
        problem = 'metainfo has no sigmas, which CocoMetric needs'
    problems = [f'{where}: {problem}'] if problem else []
    root = dataset.get('data_root')
    ann_file = _join(root, dataset.get('ann_file') or '')
    headboxes = dataset.get('headbox_file')
    for path in filter(None, (ann_file, headboxes)):
        if _is_local(path) and not os.path.isfile(path):
            problems.append(f'{where}: {path} not found')
    if not os.path.isfile(ann_file) or not (
            issubclass(kind, BaseCocoStyleDataset)
            and kind._load_annotations is BaseCocoStyleDataset._load_annotations):
        return problems
    if kind.parse_data_info is not BaseCocoStyleDataset.parse_data_info:
        expected = None  # such as COCO-WholeBody, which has joints in several lists
    data = read(ann_file)
    boxes = dataset.get('bbox_file')
    evaluated = [metric for metric in metrics
                 if _evaluates(metric) and not metric.get('ann_file')]
    problems += data.problems_as_images()
    if boxes:
        problems += ([f'{where}: bbox_file {boxes} not found']
                     if _is_local(boxes) and not os.path.isfile(boxes) else
                     box_problems(boxes, ann_file, data))
    else:
        problems += data.problems_as_persons(expected)
    for metric in evaluated:
        problems += data.problems_in_evaluation(metric.get('use_area', True))
    prefix = _join(root, (dataset.get('data_prefix') or {}).get('img', ''))
    if prefix and _is_local(prefix):
        if not os.path.isdir(prefix):
            return [*problems, f'{where}: folder of images {prefix} not found']
        missing = [name for name in data.first_and_last
                   if not os.path.isfile(os.path.join(prefix, name))]
        if missing:
            problems.append(f'{where}: image {os.path.join(prefix, missing[0])} of {ann_file} '
                            'not found')
    return problems


def metric_problems(metrics: list[dict], where: str, datasets: list[dict],
                    read: Reader) -> list[str]:
    """What is wrong with the annotations that metrics read themselves.

    Args:
        metrics: Their configs.
        where: Their dotted name.
        datasets: Whose images they evaluate.
        read: Reads an annotation file.
    """
    problems = []
    for metric in metrics:
        path = metric.get('ann_file')
        if not path or not _is_local(path):
            continue
        if not os.path.isfile(path):
            problems.append(f'{where}: {path} not found')
            continue
        if not _evaluates(metric):
            continue
        problems += read(path).problems_in_evaluation(metric.get('use_area', True))
        for dataset in datasets:
            images = _join(dataset.get('data_root'), dataset.get('ann_file') or '')
            missing = (read(images).image_ids - read(path).image_ids
                       if os.path.isfile(images) else set())
            if missing:
                problems.append(f'{where}: {path} lacks {len(missing)} of the images of {images}, '
                                f'such as {min(map(str, missing))}')
    return problems


def pipeline_problems(dataset: dict, where: str) -> list[str]:
    """Data sets of which no layer prepares the samples."""
    if any(part.get('pipeline') for part, _ in parts(dataset, where) if isinstance(part, dict)):
        return []
    return [] if dataset.get('pipeline') else [f'{where}.pipeline is empty']


def parts(dataset: dict, where: str) -> Iterator[tuple[dict, str]]:
    """The data sets that read files, inside of wrappers such as CombinedDataset."""
    if not isinstance(dataset, dict):
        yield dataset, where
    elif dataset.get('datasets'):
        for index, part in enumerate(dataset['datasets']):
            yield from parts(part, f'{where}.datasets.{index}')
    elif isinstance(dataset.get('dataset'), dict):
        yield from parts(dataset['dataset'], f'{where}.dataset')
    else:
        yield dataset, where


def metrics_of(config: Config, mode: str) -> list[dict]:
    """The metrics that evaluate a mode."""
    evaluator = config.get(f'{mode}_evaluator') or []
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
    return [metric for metric in metrics if isinstance(metric, dict)]


def _evaluates(metric: dict) -> bool:
    """Whether a metric compares with COCO's fields of keypoints."""
    return (metric.get('type') == 'CocoMetric' and not metric.get('format_only')
            and metric.get('iou_type', 'keypoints') == 'keypoints')


def _class_of(dataset: dict) -> Any:
    """The class of a data set, None if nobody registered it."""
    from mmpose.registry import DATASETS
    kind = dataset.get('type')
    return DATASETS.get(kind) if isinstance(kind, str) else kind


def _join(root: str | None, path: str) -> str:
    return os.path.join(root, path) if root and '://' not in path else path


def _is_local(path: str) -> bool:
    return '://' not in path


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
