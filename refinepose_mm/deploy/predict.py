"""`refinepose predict`: skeletons on photos and videos, by a checkpoint or an exported file."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..bundled import DEMO, config_and_weights
from ..files import refuse_inputs, require_folder
from .boxes import compare_names, read_boxes
from .media import DRAWINGS, Painter, Photos, Video, open_source
from .predictor import BatchPredictor, Scene, usual_threshold
from .results import LINES, PREDICTIONS, Results, result_files
from .tables import FORMATS, Joints
from .video import Frame


class Problems:
    """What was not well: said at once, counted for the end.

    Args:
        strict: Raise the first problem instead.
    """

    def __init__(self, strict: bool):
        self.strict = strict
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, message: str, count: int = 1) -> None:
        """Say a problem.

        Raises:
            ValueError: If strict.
        """
        if self.strict:
            raise ValueError(message)
        tqdm.write(f'refinepose predict: {message}', file=sys.stderr)
        self.counts[kind] += count

    def __str__(self) -> str:
        return ', '.join(f'{kind}: {count}' for kind, count in self.counts.items())


def predict(predictor: BatchPredictor, source: Photos | Video, boxes: dict[str, list] | None,
            folder: Path, threshold: float, problems: Problems, *, draw: str = 'skeleton',
            formats: Sequence[str] = ()) -> Results:
    """Find, draw and write. Whatever ends it, what was found is written.

    Args:
        predictor: Finds the keypoints.
        source: Photos or a video; what cannot be read of it is a problem.
        boxes: Of each photo or frame; None stands for whole images.
        folder: For drawings, ``predictions.jsonl`` and ``predictions.json``; made if missing.
        threshold: Keypoints with a lower score are not drawn, and marked as hidden in formats.
        problems: Where they go. If strict, the first one ends the reading and is raised when the
            images before it are done.
        draw: A mode of :class:`~refinepose_mm.deploy.media.Painter`, or 'none'.
        formats: Further tables, of :data:`~refinepose_mm.deploy.tables.FORMATS`.

    Raises:
        OSError: If something cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    require_folder(folder / PREDICTIONS)
    if draw == 'heatmap':
        predictor.require_heatmaps()
    joints = Joints(list(predictor.names), predictor.metainfo['skeleton_links'])
    painter = Painter(predictor.metainfo, threshold, draw)
    times: dict[str, Fraction | None] = {}  # of the frames in the predictor
    stopped: list[ValueError] = []

    def scenes() -> Iterator[Scene]:
        frames = iter(source)
        while True:
            try:
                frame = next(frames)
            except StopIteration:
                return
            except OSError as error:
                try:
                    problems.add(source.skipped, str(error))
                except ValueError as strict:
                    stopped.append(strict)
                    return
                continue
            times[frame.name] = frame.time
            whole = [[0, 0, frame.image.shape[1], frame.image.shape[0]]]
            yield Scene(frame.image, np.array(
                whole if boxes is None else boxes.get(frame.name, []), np.float32), frame.name)

    found = predictor.stream(scenes(), heatmaps=draw == 'heatmap')
    with ExitStack() as files:
        results = files.enter_context(closing(Results(folder, joints, threshold, formats)))
        writer = None if draw == 'none' else files.enter_context(closing(source.writer(folder)))
        for scene, poses in tqdm(found, total=source.count, unit='image'):
            time = times.pop(scene.name)
            results.write(scene, poses, time)
            if writer is not None:
                writer.write(Frame(scene.name, painter(scene.image, poses), time))
    if stopped:
        raise stopped[0]
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose predict`."""
    parser.add_argument('source', nargs='+', help='a photo, a folder of photos, or a video')
    parser.add_argument('--config', help='config of the model; default: the bundled one, '
                        f'{DEMO!r}')
    parser.add_argument('--weights', help='a checkpoint, or what `refinepose export` wrote')
    parser.add_argument('--boxes', type=Path,
                        help='json: file names, or frame numbers from 0, and for each a list of '
                        '[left, top, right, bottom] in pixels; default: whole images')
    parser.add_argument('--output', type=Path, default=Path('predictions'),
                        help=f'folder for drawn images, {LINES} (as they come) and {PREDICTIONS} '
                        '(at the end); default: %(default)s')
    parser.add_argument('--draw', choices=['none', *DRAWINGS], default='skeleton',
                        help='what to draw on photos and videos; compare: the image beside its '
                        'skeletons; default: %(default)s')
    parser.add_argument('--formats', nargs='+', choices=FORMATS, default=[], metavar='F',
                        help='write files for other programs, too: csv, coco-results (scores), '
                        'coco (pre-labels for CVAT) or label-studio')
    parser.add_argument('--recursive', action='store_true',
                        help='take the photos of all folders in SOURCE; drawings are in the same '
                        'folders')
    parser.add_argument('--batch-size', type=int, default=32, help='most persons at a time')
    parser.add_argument('--threshold', type=float,
                        help='draw keypoints with at least this score; default: 0.5 for the '
                        'probabilities of a calibrated model, 0.3 for heights of maxima')
    parser.add_argument('--raw-scores', action='store_true',
                        help='heights of maxima as scores, even if the model is calibrated')
    parser.add_argument('--device', default='cpu', help='such as cuda:0; for ONNX files also a '
                        'provider of ONNX Runtime, for OpenVINO files its name of a device')
    parser.add_argument('--trust', action='store_true',
                        help='load a .pt2 file, which can execute code of its own')
    parser.add_argument('--strict', action='store_true',
                        help='stop at the first photo, frame or box that is not well; default: '
                        'name it, leave it out, and exit with 1')


def _grammar(args: argparse.Namespace) -> tuple[str, str, Path]:
    """Config, weights and source; CONFIG WEIGHTS SOURCE, of earlier versions, works, too.

    Without a config it is the bundled model's.

    Raises:
        ValueError: For other words.
    """
    words = args.source
    if len(words) == 3 and args.config is None and args.weights is None:
        config, weights, source = words
        print('refinepose predict: CONFIG WEIGHTS SOURCE is deprecated; write: refinepose predict '
              f'{source} --config {config} --weights {weights}', file=sys.stderr)
        return config, weights, Path(source)
    if len(words) != 1 or (args.config is None and args.weights is not None):
        raise ValueError('expected SOURCE [--config CONFIG --weights WEIGHTS], got '
                         f'{len(words)} x SOURCE, --config {args.config}, --weights '
                         f'{args.weights}')
    config, weights = config_and_weights(args.config or DEMO, args.weights)
    if args.config is None:
        print(f'no --config: this is the bundled demonstration model {DEMO!r}, for one person on a '
              'sport photo, 14 joints')
    return str(config), str(weights), Path(words[0])


def _refuse_outputs(folder: Path, source: Path, recursive: bool, outputs: list[Path],
                    inputs: list[Path]) -> None:
    """Refuse to write into the source's folder or onto any input, also through links.

    Raises:
        ValueError: If that would happen.
        NotADirectoryError: If the folder is a file.
    """
    if folder.exists():
        if not folder.is_dir():
            raise NotADirectoryError(f'output {folder} is a file, expected a folder')
        home = source if source.is_dir() else source.parent
        if os.path.samefile(folder, home):
            raise ValueError(f'output {folder} is the folder of the source; name another one')
    if recursive and source.resolve() in folder.resolve().parents:
        raise ValueError(f'output {folder} is inside of the source {source}, which is read with '
                         'all its folders; name another one')
    identities = {(status.st_dev, status.st_ino): path
                  for path in inputs if path.exists() for status in [path.stat()]}
    for output in filter(Path.exists, outputs):
        status = output.stat()
        same = identities.get((status.st_dev, status.st_ino))
        if same is not None:
            refuse_inputs(output, [same])


def run(args: argparse.Namespace) -> int:
    """Predict, and say where the results are."""
    config, weights, path = _grammar(args)
    if args.threshold is not None and not math.isfinite(args.threshold):
        raise ValueError(f'--threshold must be a finite number, got {args.threshold}')
    problems = Problems(args.strict)
    source, boxes = open_source(path, args.recursive), read_boxes(args.boxes, problems.add)
    drawn = [] if args.draw == 'none' else source.outputs(args.output)
    written = [args.output / name for name in result_files(args.formats)]
    read = [Path(config), Path(weights), path, *source.paths, *filter(None, [args.boxes])]
    _refuse_outputs(args.output, path, args.recursive, drawn + written, read)
    photos = isinstance(source, Photos)
    if boxes is not None and photos:
        compare_names(boxes, source.names, args.boxes, problems.add)
    elif boxes is not None and not any(re.fullmatch('0|[1-9][0-9]*', name) for name in boxes):
        raise ValueError(f'no boxes in {args.boxes} fit: frames are numbers from 0, it has names '
                         f'such as {next(iter(boxes), "none")}')
    predictor = BatchPredictor(config, weights, args.batch_size, device=args.device,
                               trust=args.trust, raw_scores=args.raw_scores)
    threshold = usual_threshold(predictor) if args.threshold is None else args.threshold
    results = predict(predictor, source, boxes, args.output, threshold, problems,
                      draw=args.draw, formats=args.formats)
    if not results.images:
        raise ValueError(f'nothing of {path} could be read')
    if boxes is not None and not photos and source.skipped not in problems.counts:
        compare_names(boxes, list(map(str, range(results.images))), args.boxes, problems.add)
    names = [*(['drawings'] if drawn else []), *result_files(args.formats)]
    print(f'{results.persons} persons in {results.images} images; {", ".join(names)} '
          f'are in {args.output}')
    if problems.counts:
        print(f'refinepose predict: not everything was well: {problems}', file=sys.stderr)
    return 1 if problems.counts else 0
