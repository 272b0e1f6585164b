"""`refinepose predict`: skeletons on photos and videos, by a checkpoint or an exported file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import mmcv
import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from mmpose.visualization import PoseLocalVisualizer
from tqdm import tqdm

from .predictor import BatchPredictor, Poses, Scene

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm')
PREDICTIONS = 'predictions.json'


class Photos:
    """A photo, or those of a folder by name: pairs of file name and image.

    Raises:
        FileNotFoundError: If the folder holds none.
        OSError: While reading, if a photo cannot be decoded; names it.
    """

    def __init__(self, source: Path):
        self.paths = [source] if source.is_file() else sorted(
            path for path in source.iterdir() if path.suffix.lower() in IMAGES)
        if not self.paths:
            raise FileNotFoundError(f'no photos ({", ".join(IMAGES)}) in {source}')

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        for path in self.paths:
            image = cv2.imread(str(path))
            if image is None:
                raise OSError(f'{path} cannot be decoded as an image')
            yield path.name, image

    def writer(self, folder: Path) -> PhotoWriter:
        return PhotoWriter(folder)


class PhotoWriter:
    """Drawn photos, under their own names."""

    def __init__(self, folder: Path):
        self.folder = folder

    def write(self, name: str, image: np.ndarray) -> None:
        if not cv2.imwrite(str(self.folder / name), image):
            raise OSError(f'{self.folder / name} cannot be written')

    def close(self) -> None:
        """Nothing is left to do."""


class Video:
    """The frames of a video: pairs of frame number, from '0', and image.

    Raises:
        OSError: If it cannot be read as a video.
    """

    def __init__(self, source: Path):
        self.source = source
        self.reader = mmcv.VideoReader(str(source))
        if not self.reader.opened or not len(self.reader):
            raise OSError(f'{source} cannot be read as a video')

    def __len__(self) -> int:
        return len(self.reader)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        for number, frame in enumerate(self.reader):
            if frame is None:  # the container promised more frames than can be decoded
                return
            yield str(number), frame

    def writer(self, folder: Path) -> VideoWriter:
        return VideoWriter(folder / f'{self.source.stem}.mp4', self.reader.fps,
                           self.reader.resolution)


class VideoWriter:
    """Drawn frames as an MPEG-4 video."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]):
        self.video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), fps, size)
        if not self.video.isOpened():
            raise OSError(f'{path} cannot be written: this OpenCV has no MPEG-4 encoder, or the '
                          'folder refuses')

    def write(self, name: str, image: np.ndarray) -> None:
        self.video.write(image)

    def close(self) -> None:
        self.video.release()


def open_source(source: Path) -> Photos | Video:
    """Photos or a video, by the ending of the name.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If the ending is none that is known.
    """
    if not source.exists():
        raise FileNotFoundError(f'{source} not found')
    if source.is_dir() or source.suffix.lower() in IMAGES:
        return Photos(source)
    if source.suffix.lower() in VIDEOS:
        return Video(source)
    raise ValueError(f'{source} must be a folder or end in one of {", ".join(IMAGES + VIDEOS)}')


def read_boxes(path: Path | None) -> dict[str, list] | None:
    """Boxes by file name or frame number, from json; None stands for whole images.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not json, or no such table.
    """
    if path is None:
        return None
    if not path.is_file():
        raise FileNotFoundError(f'{path} not found')
    try:
        boxes = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f'{path} is not json: {error}') from None
    if not isinstance(boxes, dict):
        raise ValueError(f'{path} must map file names or frame numbers to lists of [left, top, '
                         f'right, bottom], got a {type(boxes).__name__}')
    return boxes


class Painter:
    """Draws skeletons with MMPose's visualizer.

    Args:
        metainfo: Parsed meta information of the data set: names, links and colours.
        threshold: Keypoints with a lower score are left out.
    """

    def __init__(self, metainfo: dict, threshold: float):
        self.threshold = threshold
        self.visualizer = PoseLocalVisualizer()
        self.visualizer.set_dataset_meta(metainfo)

    def __call__(self, image: np.ndarray, poses: Poses) -> np.ndarray:
        """The image (H, W, 3), BGR, with all poses on it."""
        # A point for every 150 pixels looks alike on thumbnails and on large photos.
        self.visualizer.radius = max(2, round(max(image.shape) / 150))
        self.visualizer.line_width = max(1, self.visualizer.radius // 2)
        sample = PoseDataSample(pred_instances=InstanceData(
            keypoints=poses.keypoints, keypoint_scores=poses.scores))
        self.visualizer.add_datasample(
            'poses', image[..., ::-1], sample, draw_gt=False, kpt_thr=self.threshold)
        return np.ascontiguousarray(self.visualizer.get_image()[..., ::-1])


def predict(predictor: BatchPredictor, source: Photos | Video, boxes: dict[str, list] | None,
            folder: Path, threshold: float) -> dict[str, list[dict]]:
    """Find, draw and write; what was found is written, too, also if a later image is broken.

    Returns:
        For each photo or frame its persons: keypoints as [x, y] in pixels, and scores.
    """
    folder.mkdir(parents=True, exist_ok=True)
    writer, painter = source.writer(folder), Painter(predictor.metainfo, threshold)

    def scenes() -> Iterator[Scene]:
        for name, image in source:
            whole = [[0, 0, image.shape[1], image.shape[0]]]
            yield Scene(image, np.array(
                whole if boxes is None else boxes.get(name, []), np.float32), name)

    found: dict[str, list[dict]] = {}
    try:
        for scene, poses in tqdm(predictor.stream(scenes()), total=len(source), unit='image'):
            writer.write(scene.name, painter(scene.image, poses))
            found[scene.name] = [dict(keypoints=keypoints.round(2).tolist(),
                                scores=scores.round(4).tolist())
                           for keypoints, scores in zip(*poses)]
    finally:
        writer.close()
        (folder / PREDICTIONS).write_text(json.dumps(found))
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose predict`."""
    parser.add_argument('config', help='config of the model')
    parser.add_argument('weights', help='a checkpoint, or what `refinepose export` wrote')
    parser.add_argument('source', type=Path, help='a photo, a folder of photos, or a video')
    parser.add_argument('--boxes', type=Path,
                        help='json: file names, or frame numbers from 0, and for each a list of '
                        '[left, top, right, bottom] in pixels; default: whole images')
    parser.add_argument('--output', type=Path, default=Path('predictions'),
                        help='folder for drawn images and predictions.json; default: %(default)s')
    parser.add_argument('--batch-size', type=int, default=32, help='most persons at a time')
    parser.add_argument('--threshold', type=float, default=.3,
                        help='draw keypoints with at least this score; default: %(default)s')
    parser.add_argument('--device', default='cpu', help='for a checkpoint, such as cuda:0')


def run(args: argparse.Namespace) -> int:
    """Predict, and say where the results are."""
    source, boxes = open_source(args.source), read_boxes(args.boxes)
    predictor = BatchPredictor(args.config, args.weights, args.batch_size, device=args.device)
    found = predict(predictor, source, boxes, args.output, args.threshold)
    persons = sum(map(len, found.values()))
    print(f'{persons} persons in {len(found)} images; drawings and {PREDICTIONS} are in '
          f'{args.output}')
    if not persons:
        raise ValueError(f'no boxes in {args.boxes} fit the names in {args.source}, such as '
                         f'{next(iter(found), "none")}')
    return 0
