"""`refinepose calibrate`: scores that are probabilities, from a config's validation data.

Peak heights of annotated persons are compared with how near their keypoints are; the tables of
:mod:`~refinepose_mm.deploy.calibration` go into a copy of the file. Keypoints stay as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmpose.registry import DATASETS
from tqdm import tqdm

from ..bundled import NAMES, bundled, config_and_weights
from ..checkpoints import open_checkpoint, write_checkpoint
from ..datasets.images import read_image
from ..engine.preflight import in_one_line, problems_of
from ..files import refuse_inputs, replacing, require_folder
from .calibration import (
    JOINT_BINS,
    KEY,
    TOLERANCE,
    Calibration,
    calibration_error,
    fit,
    similarities_of,
)
from .config import DECODER, TEST_DATA, explained, load_config, require_file
from .formats import is_exported, load_exported, target_files, target_of
from .metadata import to_text
from .poses import mean_of_high
from .predictor import BatchPredictor, Scene

VAL_DATA = 'val_dataloader.dataset'
AREA_OF_BOX = .53  # a person's share of its box, as MMPose takes it where no area is annotated


class Persons(NamedTuple):
    """What was found of N annotated persons.

    Attributes:
        heights: (N, K), of the heatmaps' maxima.
        similarities: (N, K), NaN where a joint is not annotated; see
            :func:`~refinepose_mm.deploy.calibration.similarities_of`.
        images: (N,), numbers of the images that they are on.
        keypoints: (N, K, 2) in pixels of the image.
    """

    heights: np.ndarray
    similarities: np.ndarray
    images: np.ndarray
    keypoints: np.ndarray


class Scores(NamedTuple):
    """Scores of keypoints (N, K) and of persons (N,)."""

    keypoints: np.ndarray
    persons: np.ndarray


def find(predictor: BatchPredictor, dataset: dict) -> Persons:
    """Find the annotated persons of a data set, each in its annotated box.

    Args:
        predictor: Whose scores are heights, see ``raw_scores`` there.
        dataset: Config of the data.

    Raises:
        OSError: If a photo cannot be read.
        ValueError: If the data cannot be read.
    """
    with explained(f'{VAL_DATA} cannot be read'), redirect_stdout(None):  # of pycocotools
        data = DATASETS.build(dict(dataset, bbox_file=None) if 'bbox_file' in dataset else dataset)
        infos = [data.get_data_info(index) for index in range(len(data))]
        infos = [info for info in infos if (info['keypoints_visible'] > 0).any()]
        paths = [info['img_path'] for info in infos]

    def scenes() -> Iterator[Scene]:
        before, image = None, None
        for path, info in zip(paths, infos):
            if path != before:
                before, image = path, read_image(path)
            yield Scene(image, info['bbox'], path)

    poses = [found for _, found in tqdm(
        predictor.stream(scenes()), total=len(infos), desc='validation persons')]
    if not poses:
        raise ValueError(f'{VAL_DATA} has no person with annotated joints')
    keypoints, heights = (np.concatenate(parts) for parts in zip(*poses))
    annotated, visible, boxes = (np.concatenate([info[name] for info in infos])
                                 for name in ('keypoints', 'keypoints_visible', 'bbox'))
    shares = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) * AREA_OF_BOX
    areas = np.array([info.get('area', share) for info, share in zip(infos, shares)], float)
    return Persons(
        heights, similarities_of(keypoints, annotated, visible, areas,
                                 np.array(predictor.metainfo['sigmas'])),
        np.array([info['img_id'] for info in infos]), keypoints)


def cross_fitted(joints: tuple[str, ...], persons: Persons, folds: int = 5,
                 seed: int = 0, used: np.ndarray | None = None) -> Scores:
    """Scores of each person by the tables of the persons on other images.

    Args:
        joints: Names of the keypoints.
        persons: To fit on.
        folds: Parts of the images.
        seed: Of the parts.
        used: Heights (N, K) to score; default: those of ``persons``. Heights of another engine
            tell whether one calibration serves both.
    """
    used = persons.heights if used is None else used
    images, where = np.unique(persons.images, return_inverse=True)
    parts = (np.random.default_rng(seed).permutation(len(images)) % folds)[where]
    keypoints, expected = np.empty(used.shape), np.empty(len(used))
    for part in range(folds):
        held = parts == part
        if not held.any():
            continue
        tables = fit(joints, persons.heights[~held], persons.similarities[~held])
        keypoints[held] = tables.probabilities(used[held])
        expected[held] = tables.expected_oks(used[held])
    return Scores(keypoints, expected)


def errors_of(scores: Scores, similarities: np.ndarray) -> dict[str, Any]:
    """How far scores are from what they claim.

    Returns:
        ``ece``, the expected calibration error of all keypoints; ``ece_of_joints``, of each joint,
        None where too few are annotated; ``brier``, the mean square error; ``oks``, the mean
        distance of the persons' scores from their OKS.
    """
    annotated = np.isfinite(similarities)
    right = similarities >= TOLERANCE
    columns = [(scores.keypoints[its, joint], right[its, joint])
               for joint, its in enumerate(annotated.T)]
    values = scores.keypoints[annotated]
    return dict(
        ece=_short(calibration_error(values, right[annotated])),
        ece_of_joints=[_short(calibration_error(*column, JOINT_BINS)) if len(column[0]) else None
                       for column in columns],
        brier=_short(np.mean((values - right[annotated])**2)),
        oks=_short(np.mean(np.abs(scores.persons - np.nanmean(similarities, axis=1)))))


def _short(value: float) -> float:
    return round(float(value), 4)


def calibrate(joints: tuple[str, ...], persons: Persons, source: str, folds: int = 5,
              seed: int = 0) -> Calibration:
    """Fit on all persons, and measure by cross-fitting what that is worth.

    Args:
        joints: Names of the keypoints.
        persons: To fit on.
        source: What they are, in words.
        folds: Parts of the images.
        seed: Of the parts.

    Raises:
        ValueError: If there are too few persons.
    """
    heights = Scores(persons.heights, mean_of_high(persons.heights))
    similarities = persons.similarities
    after = cross_fitted(joints, persons, folds, seed)
    return fit(joints, persons.heights, similarities, dict(
        source=source, persons=len(similarities), tolerance=f'OKS {TOLERANCE:g}',
        folds=folds, seed=seed, before=errors_of(heights, similarities),
        after=errors_of(after, similarities)))


def write(source: str | Path, target: str | Path, calibration: Calibration,
          trust: bool = False) -> None:
    """Write a copy of a checkpoint or of an exported file that has a calibration.

    Of a checkpoint, weights and metadata go along; what only training needs does not.

    Args:
        source: The file.
        target: Where to write, with the same ending.
        calibration: Of this file's model.
        trust: As for :func:`~refinepose_mm.deploy.formats.load_exported`.

    Raises:
        ValueError: If the target is the source, has another ending, or the file was exported by
            0.1.0.
        OSError: If it cannot be written.
    """
    source, target = Path(source), Path(target)
    _require_same_format(source, target)
    if not is_exported(source):
        tensors, meta = open_checkpoint(source)
        write_checkpoint(target, tensors, dict(meta, **{KEY: to_text(calibration.to_dict())}),
                         [source])
        return
    metadata = load_exported(source, trust=trust).metadata
    if metadata is None:
        raise ValueError(f'{source} was written by refinepose_mm 0.1.0, without metadata; export '
                         'it anew')
    with replacing(target, target_files(source)) as temporary:
        target_of(source).relabel(source, temporary, to_text(
            dict(metadata, calibration=calibration.to_dict())))


def _require_same_format(source: Path, target: Path) -> None:
    if source.suffix != target.suffix:
        raise ValueError(f'the output must end in {source.suffix}, got {target}')


def in_words(calibration: Calibration) -> str:
    """What cross-fitting measured, as a table for people."""
    about = calibration.about
    before, after = about['before'], about['after']
    rows = [('calibration error', before['ece'], after['ece']),
            ('squared error', before['brier'], after['brier']),
            ("person's score - OKS", before['oks'], after['oks']),
            *(row for row in zip(calibration.joints, before['ece_of_joints'],
                                 after['ece_of_joints']) if None not in row)]
    width = max(len(name) for name, *_ in rows)
    lines = [f'{about["persons"]} persons of {about["source"]}; a keypoint is right from '
             f'{about["tolerance"]} on; cross-fitted in {about["folds"]} parts, seed '
             f'{about["seed"]}:',
             f'{"":{width}}  peak heights  calibrated']
    lines += [f'{name:{width}}  {first:12.4f}  {second:10.4f}' for name, first, second in rows]
    return '\n'.join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose calibrate`."""
    parser.add_argument('config', help='config of the model, whose validation data calibrate')
    parser.add_argument('weights', help='checkpoint, exported file (.onnx, .xml or .pt2), or the '
                        f'name of a bundled model: {", ".join(NAMES)}')
    parser.add_argument('--output', help="default: the file's name with _calibrated")
    parser.add_argument('--folds', type=int, default=5,
                        help='parts of the images for the measured figures; default: %(default)s')
    parser.add_argument('--seed', type=int, default=0, help='of the parts; default: %(default)s')
    parser.add_argument('--batch-size', type=int, default=32, help='most persons at a time')
    parser.add_argument('--device', default='cpu', help='as for `refinepose predict`')
    parser.add_argument('--trust', action='store_true',
                        help='load a .pt2 file, which can execute code of its own')


def run(args: argparse.Namespace) -> int:
    """Find, fit, write, and say what it is worth."""
    named = args.weights in NAMES and not Path(args.weights).is_file()
    weights = bundled(args.weights).weights if named else Path(args.weights)
    if args.folds < 2:
        raise ValueError(f'--folds must be at least 2, got {args.folds}')
    source, _ = config_and_weights(args.config, weights)
    config = load_config(source, DECODER, f'{TEST_DATA}.pipeline', f'{VAL_DATA}.ann_file')
    require_file(weights)
    output = weights.with_name(f'{weights.stem}_calibrated{weights.suffix}')
    if named:  # into the current folder, not beside the package's
        output = Path(output.name)
    if args.output is not None:
        output = Path(args.output)
    _require_same_format(weights, output)
    for file in target_files(output):
        refuse_inputs(file, [source, *target_files(weights)])
    require_folder(output)
    problems = problems_of(config, ['val'])
    if problems:
        raise ValueError(in_one_line(problems))
    predictor = BatchPredictor(source, weights, args.batch_size, device=args.device,
                               trust=args.trust, raw_scores=True)
    dataset = config.val_dataloader.dataset
    calibration = calibrate(predictor.names, find(predictor, dataset), Path(
        dataset.ann_file).name, args.folds, args.seed)
    write(weights, output, calibration, args.trust)
    print(f'wrote {output}\n{in_words(calibration)}')
    return 0
