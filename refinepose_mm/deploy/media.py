"""Photos and videos in and out, and the painter of skeletons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from mmpose.visualization import PoseLocalVisualizer

from ..datasets.images import read_image
from ..files import replacing
from .predictor import Poses
from .video import Frame, Video

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm')


class Photos:
    """A photo, or those of a folder by name.

    Iteration goes on after a photo that cannot be read: ask the same iterator for the next one.

    Attributes:
        paths: The photos.
        count: How many there are.
        skipped: Kind of problem that a photo is which cannot be read.

    Raises:
        FileNotFoundError: If the folder holds none.
        OSError: While reading, for each photo that cannot be decoded; names it.
    """

    skipped = 'photos skipped'

    def __init__(self, source: Path):
        self.paths = [source] if source.is_file() else sorted(
            path for path in source.iterdir()
            if path.suffix.lower() in IMAGES and not path.is_dir())
        if not self.paths:
            raise FileNotFoundError(f'no photos ({", ".join(IMAGES)}) in {source}')
        self.count = len(self.paths)

    def __iter__(self) -> Iterator[Frame]:
        # Unlike a generator, map survives an exception.
        return map(lambda path: Frame(path.name, read_image(path)), self.paths)

    def outputs(self, folder: Path) -> list[Path]:
        """The files that :meth:`writer` will write."""
        return [folder / path.name for path in self.paths]

    def writer(self, folder: Path) -> PhotoWriter:
        """A writer of drawn photos, under their own names."""
        return PhotoWriter(folder, self.paths)


class PhotoWriter:
    """Drawn photos in a folder, each complete or not there.

    Args:
        folder: An existing folder.
        inputs: Files that must not be overwritten.
    """

    def __init__(self, folder: Path, inputs: list[Path]):
        self.folder = folder
        self.inputs = {path.name: path for path in inputs}

    def write(self, frame: Frame) -> None:
        """Encode a photo, by the ending of its name.

        Raises:
            OSError: If it cannot be encoded or written; names it.
            ValueError: If it would overwrite the photo that it was drawn on.
        """
        path = self.folder / frame.name
        try:
            done, encoded = cv2.imencode(path.suffix, frame.image)
        except cv2.error:
            done = False
        if not done:  # such as WebP beyond 16,383 pixels
            height, width = frame.image.shape[:2]
            raise OSError(f'{path} cannot be encoded with {width}x{height} pixels')
        with replacing(path, [self.inputs[frame.name]]) as temporary:
            temporary.write_bytes(encoded)

    def close(self) -> None:
        """Nothing is left to do."""


def open_source(source: Path) -> Photos | Video:
    """Photos or a video, by the ending of the name.

    Raises:
        FileNotFoundError: If it does not exist, or is a folder without photos.
        ImportError: If it is a video and PyAV is not installed.
        OSError: If it cannot be read as a video.
        ValueError: If the ending is unknown.
    """
    if not source.exists():
        raise FileNotFoundError(f'{source} not found')
    if source.is_dir() or source.suffix.lower() in IMAGES:
        return Photos(source)
    if source.suffix.lower() in VIDEOS:
        return Video(source)
    raise ValueError(f'{source} must be a folder or end in one of {", ".join(IMAGES + VIDEOS)}')


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
        # The visualizer compares keypoints_visible with its threshold, not the scores.
        sample = PoseDataSample(pred_instances=InstanceData(
            keypoints=poses.keypoints, keypoint_scores=poses.scores,
            keypoints_visible=poses.scores))
        self.visualizer.add_datasample(
            'poses', image[..., ::-1], sample, draw_gt=False, kpt_thr=self.threshold)
        return np.ascontiguousarray(self.visualizer.get_image()[..., ::-1])
