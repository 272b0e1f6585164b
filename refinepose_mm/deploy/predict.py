"""`refinepose predict`: skeletons on photos, videos and streams."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Union

from tqdm import tqdm

from ..bundled import DEMO, config_and_weights
from ..engine.memory import keep_memory
from ..files import refuse_inputs, require_folder
from .boxes import Boxes, read_boxes
from .detectors import FAMILIES, Detector
from .detectors.detector import BATCH, THRESHOLD
from .live import Camera, Stream, ended_by_interrupt
from .media import DRAWINGS, Painter, Photos, Video, open_source
from .predictor import BatchPredictor, Scene, usual_threshold
from .results import LINES, PREDICTIONS, Results, result_files
from .smoothing import Smoother
from .tables import FORMATS, Joints
from .tracking import Tracker
from .video import Frame

Source = Union[Photos, Video, Camera, Stream]


class Problems:
    """What was not well: said at once, counted for the end.

    Args:
        strict: Raise the first problem instead.

    Attributes:
        first: The message of the first problem.
        counts: How often there was one of a kind.
    """

    def __init__(self, strict: bool):
        self.strict, self.first = strict, ''
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, message: str, count: int = 1) -> None:
        """Say a problem.

        Raises:
            ValueError: If strict.
        """
        if self.strict:
            raise ValueError(message)
        tqdm.write(f'refinepose predict: {message}', file=sys.stderr)
        self.first = self.first or message
        self.counts[kind] += count

    def __str__(self) -> str:
        return ', '.join(f'{kind}: {count}' for kind, count in self.counts.items())


def predict(predictor: BatchPredictor, source: Source, persons: Boxes | Detector | None,
            folder: Path, threshold: float, problems: Problems, *, draw: str = 'skeleton',
            formats: Sequence[str] = (), smooth: bool = False) -> Results:
    """Find, draw and write. Whatever ends it, what was found is written.

    Args:
        predictor: Finds the keypoints.
        source: Photos, a video or a stream; what cannot be read of it is a problem. Persons that
            are found in frames get identities.
        persons: Where they are in each photo or frame; None stands for whole images.
        folder: For drawings, ``predictions.jsonl`` and ``predictions.json``; made if missing.
        threshold: Keypoints with a lower score are not drawn, and marked as hidden in formats.
        problems: Where they go. If strict, the first one ends the reading and is raised when the
            images before it are done.
        draw: A mode of :class:`~refinepose_mm.deploy.media.Painter`, or 'none'.
        formats: Further tables, of :data:`~refinepose_mm.deploy.tables.FORMATS`.
        smooth: Smooth keypoints over the frames.

    Raises:
        OSError: If something cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    require_folder(folder / PREDICTIONS)
    if draw == 'heatmap':
        predictor.require_heatmaps()
    joints = Joints(list(predictor.names), predictor.metainfo['skeleton_links'])
    painter = Painter(predictor.metainfo, threshold, draw)
    moving = not isinstance(source, Photos)
    tracker = Tracker(predictor.metainfo['sigmas']) if moving and persons is not None else None
    smoother = Smoother() if smooth else None
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
            boxes, scores = persons.of(frame.name) if isinstance(persons, Boxes) else (None, None)
            yield Scene(frame.image, boxes, frame.name, scores, frame.time)

    located = persons.stream(scenes()) if isinstance(persons, Detector) else scenes()
    found = predictor.stream(located, heatmaps=draw == 'heatmap')
    with ExitStack() as files:
        files.enter_context(ended_by_interrupt(source))
        results = files.enter_context(closing(Results(folder, joints, threshold, formats)))
        writer = None if draw == 'none' else files.enter_context(closing(source.writer(folder)))
        for scene, poses in tqdm(found, total=source.count, unit='image'):
            if tracker is not None:
                poses.identities = tracker(poses, scene.time)
            if smoother is not None:
                poses.keypoints = smoother(poses, scene.time)
            results.write(scene, poses)
            if writer is not None:
                writer.write(Frame(scene.name, painter(scene.image, poses), scene.time))
    if stopped:
        raise stopped[0]
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose predict`."""
    parser.add_argument('source', nargs='+', help='a photo, a folder of photos, a video, '
                        "a camera's number, or a stream's address such as rtsp://...")
    parser.add_argument('--config', help='config of the model; default: the bundled one, '
                        f'{DEMO!r}')
    parser.add_argument('--weights', help='a checkpoint, or what `refinepose export` wrote')
    parser.add_argument('--boxes', type=Path,
                        help='json: file names, or frame numbers from 0, and for each a list of '
                        "[left, top, right, bottom] in pixels; or COCO's list of detections; "
                        'default: whole images')
    parser.add_argument('--detector', metavar='FILE',
                        help='finds the persons: an ONNX or OpenVINO file of YOLOX, YOLO or '
                        'RTMDet, or a config of mmdet')
    parser.add_argument('--detector-weights', metavar='FILE', help="the config's checkpoint")
    parser.add_argument('--detector-family', choices=FAMILIES, metavar='F',
                        help='of a file that does not tell itself: %(choices)s')
    parser.add_argument('--box-threshold', type=float, default=THRESHOLD,
                        help='lowest score of a detected person, 0 to 1; default: %(default)s')
    parser.add_argument('--stride', type=int, default=1, metavar='N',
                        help='take every N-th frame; a drawn video keeps its time')
    parser.add_argument('--smooth', action='store_true',
                        help='smooth the keypoints of each person over the frames')
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


def _grammar(args: argparse.Namespace) -> tuple[str, str, str]:
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
        return config, weights, source
    if len(words) != 1 or (args.config is None and args.weights is not None):
        raise ValueError('expected SOURCE [--config CONFIG --weights WEIGHTS], got '
                         f'{len(words)} x SOURCE, --config {args.config}, --weights '
                         f'{args.weights}')
    config, weights = config_and_weights(args.config or DEMO, args.weights)
    if args.config is None:
        print(f'no --config: this is the bundled demonstration model {DEMO!r}, for one person on a '
              'sport photo, 14 joints')
    return str(config), str(weights), words[0]


def _refuse_outputs(folder: Path, source: Path | None, recursive: bool, outputs: list[Path],
                    inputs: list[Path]) -> None:
    """Refuse to write into the source's folder or onto any input, also through links.

    Cameras and streams have no folder: their source is None.

    Raises:
        ValueError: If that would happen.
        NotADirectoryError: If the folder is a file.
    """
    if folder.exists():
        if not folder.is_dir():
            raise NotADirectoryError(f'output {folder} is a file, expected a folder')
        home = source and (source if source.is_dir() else source.parent)
        if home and os.path.samefile(folder, home):
            raise ValueError(f'output {folder} is the folder of the source; name another one')
    if recursive and source and source.resolve() in folder.resolve().parents:
        raise ValueError(f'output {folder} is inside of the source {source}, which is read with '
                         'all its folders; name another one')
    identities = {(status.st_dev, status.st_ino): path
                  for path in inputs if path.exists() for status in [path.stat()]}
    for output in filter(Path.exists, outputs):
        status = output.stat()
        same = identities.get((status.st_dev, status.st_ino))
        if same is not None:
            refuse_inputs(output, [same])


def _persons(args: argparse.Namespace, problems: Problems) -> Boxes | Detector | None:
    """Where persons are, from a json or by a detector; None stands for whole images.

    Raises:
        ValueError: If both are asked for, or options lack their detector.
    """
    if not 0 <= args.box_threshold <= 1:
        raise ValueError(f'--box-threshold must be from 0 to 1, got {args.box_threshold}')
    if args.boxes and args.detector:
        raise ValueError(f'expected --boxes or --detector, got both: {args.boxes}, {args.detector}')
    if args.detector:
        detector = Detector(args.detector, args.detector_weights, args.box_threshold,
                            min(BATCH['cuda'], max(1, args.batch_size)), args.detector_family,
                            args.device)
        print(f'persons by {detector.description}')
        return detector
    if args.detector_weights or args.detector_family:
        raise ValueError('--detector-weights and --detector-family need --detector')
    if args.boxes:
        return read_boxes(args.boxes, problems.add, args.box_threshold)
    print('no --detector and no --boxes: each whole image is one person; --detector FILE.onnx '
          'finds persons')
    return None


def run(args: argparse.Namespace) -> int:
    """Predict, and say where the results are."""
    config, weights, word = _grammar(args)
    if args.threshold is not None and not math.isfinite(args.threshold):
        raise ValueError(f'--threshold must be a finite number, got {args.threshold}')
    if args.device == 'cpu':
        keep_memory()  # or larger batches are slower
    problems = Problems(args.strict)
    source = open_source(word, args.recursive, args.stride)
    photos = isinstance(source, Photos)
    if args.smooth and photos:
        raise ValueError(f'--smooth is for videos and streams, got {word}')
    persons = _persons(args, problems)
    drawn = [] if args.draw == 'none' else source.outputs(args.output)
    written = [args.output / name for name in result_files(args.formats)]
    path = Path(word) if source.paths else None
    read = [Path(config), Path(weights), *filter(None, [path]), *source.paths, *map(Path, filter(
        None, [args.boxes, args.detector, args.detector_weights]))]
    _refuse_outputs(args.output, path, args.recursive, drawn + written, read)
    if isinstance(persons, Boxes) and photos:
        persons.compare(source.names, problems.add)
    elif isinstance(persons, Boxes):
        persons.require_frames()
    predictor = BatchPredictor(config, weights, args.batch_size, device=args.device,
                               trust=args.trust, raw_scores=args.raw_scores)
    threshold = usual_threshold(predictor) if args.threshold is None else args.threshold
    results = predict(predictor, source, persons, args.output, threshold, problems,
                      draw=args.draw, formats=args.formats, smooth=args.smooth)
    if not results.images:
        raise ValueError(f'nothing of {path or source} could be read'
                         + (f': {problems.first}' if problems.first else ', it holds no frames'))
    if isinstance(persons, Boxes) and not photos and source.skipped not in problems.counts:
        frames = range(0, results.images * args.stride, args.stride)
        persons.every(args.stride).compare(list(map(str, frames)), problems.add)
    names = [*(['drawings'] if drawn else []), *result_files(args.formats)]
    print(f'{_count(results.persons, "person")} in {_count(results.images, "image")}; '
          f'{", ".join(names)} are in {args.output}')
    if problems.counts:
        print(f'refinepose predict: not everything was well: {problems}', file=sys.stderr)
    return 1 if problems.counts else 0


def _count(number: int, what: str) -> str:
    return f'{number} {what}' if number == 1 else f'{number} {what}s'
