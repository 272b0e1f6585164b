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
from .live import Camera, Stream, open_live
from .poses import Heatmaps, Poses
from .video import Frame, Video

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm')
DRAWINGS = ('skeleton', 'heatmap', 'compare')
FAINT = .1  # heatmaps below are not drawn
FONT = cv2.FONT_HERSHEY_SIMPLEX
LIGHTNESS = (.114, .587, .299)  # of B, G, R
HUE_STEP = 67  # of neighbouring identities in OpenCV's 180 hues: far apart, and all different


class Photos:
    """A photo, or those of a folder by name.

    Iteration goes on after a photo that cannot be read: ask the same iterator for the next one.

    Args:
        source: A photo or a folder.
        recursive: Also take the photos of all folders in it. Their names are paths in the source,
            with slashes.

    Attributes:
        paths: The photos.
        names: Of the photos: the path inside of the folder.
        count: How many there are.
        skipped: Kind of problem that a photo is which cannot be read.

    Raises:
        FileNotFoundError: If the folder holds none.
        OSError: While reading, for each photo that cannot be decoded; names it.
    """

    skipped = 'photos skipped'

    def __init__(self, source: Path, recursive: bool = False):
        found = source.rglob('*') if recursive else source.glob('*')
        self.paths = [source] if source.is_file() else sorted(
            path for path in found if path.suffix.lower() in IMAGES and not path.is_dir())
        if not self.paths:
            raise FileNotFoundError(f'no photos ({", ".join(IMAGES)}) in {source}')
        home = source.parent if source.is_file() else source
        self.names = [path.relative_to(home).as_posix() for path in self.paths]
        self.count = len(self.paths)

    def __iter__(self) -> Iterator[Frame]:
        # Unlike a generator, map survives an exception.
        return map(lambda name, path: Frame(name, read_image(path)), self.names, self.paths)

    def outputs(self, folder: Path) -> list[Path]:
        """The files that :meth:`writer` will write."""
        return [folder / name for name in self.names]

    def writer(self, folder: Path) -> PhotoWriter:
        """A writer of drawn photos, under their own names."""
        return PhotoWriter(folder, dict(zip(self.names, self.paths)))


class PhotoWriter:
    """Drawn photos in a folder, each complete or not there.

    Args:
        folder: An existing folder; folders in it are made as the names of photos need them.
        inputs: Files that must not be overwritten, by the names of the photos.
    """

    def __init__(self, folder: Path, inputs: dict[str, Path]):
        self.folder, self.inputs = folder, inputs

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
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, [self.inputs[frame.name]]) as temporary:
            temporary.write_bytes(encoded)

    def close(self) -> None:
        """Nothing is left to do."""


def open_source(source: Path | str, recursive: bool = False,
                stride: int = 1) -> Photos | Video | Camera | Stream:
    """Photos, a video, a camera or a stream, by the name.

    Args:
        source: A photo, a folder or a video; a text may also be a camera's number or the address
            of a stream.
        recursive: Also take the photos of all folders in the folder.
        stride: Take every so many frames of a video, camera or stream.

    Raises:
        FileNotFoundError: If it does not exist, or is a folder without photos.
        ImportError: If PyAV is needed and not installed.
        OSError: If it cannot be read as a video or stream.
        ValueError: If the ending is unknown, or a stride is asked of photos.
    """
    if stride < 1:
        raise ValueError(f'the stride must be at least 1, got {stride}')
    live = open_live(source, stride) if isinstance(source, str) else None
    if live is not None:
        return live
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f'{source} not found')
    if source.suffix.lower() in VIDEOS and not source.is_dir():
        return Video(source, stride)
    if stride != 1:
        raise ValueError(f'{source} is no video, so there is no stride of {stride} frames')
    if source.is_dir() or source.suffix.lower() in IMAGES:
        return Photos(source, recursive)
    raise ValueError(f'{source} must be a folder or end in one of {", ".join(IMAGES + VIDEOS)}')


class Painter:
    """Draws skeletons, or heatmaps, and identities where they are known.

    Args:
        metainfo: Parsed meta information of the data set: names, links and colours.
        threshold: Keypoints with a lower score are left out.
        mode: 'skeleton', by MMPose's visualizer; 'heatmap': all heatmaps of all persons, blue to
            red for 0 to 1, where they are above 0.1; 'compare': the image left of its skeletons.
    """

    def __init__(self, metainfo: dict, threshold: float, mode: str = 'skeleton'):
        self.threshold, self.mode = threshold, mode
        self.visualizer = PoseLocalVisualizer()
        self.visualizer.set_dataset_meta(metainfo)

    def __call__(self, image: np.ndarray, poses: Poses) -> np.ndarray:
        """The drawing (H, W, 3), BGR; twice as wide for 'compare'."""
        if self.mode == 'heatmap':
            drawn = blend(image, poses.heatmaps)
        else:
            drawn = self._skeletons(image, poses)
        if poses.identities is not None and poses.boxes is not None:
            _draw_identities(drawn, poses.boxes, poses.identities)
        return np.hstack([image, drawn]) if self.mode == 'compare' else drawn

    def _skeletons(self, image: np.ndarray, poses: Poses) -> np.ndarray:
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


def blend(image: np.ndarray, heatmaps: Heatmaps | None) -> np.ndarray:
    """The image (H, W, 3) with the highest of all heatmaps over it; None stands for no persons."""
    height, width = image.shape[:2]
    highest = np.zeros((height, width), np.float32)
    for values, origin, step in zip(*heatmaps) if heatmaps else ():
        place = np.array([[step[0], 0, origin[0]], [0, step[1], origin[1]]])
        np.maximum(highest, cv2.warpAffine(values.max(0), place, (width, height)), out=highest)
    colours = cv2.applyColorMap((255 * highest.clip(0, 1)).astype(np.uint8), cv2.COLORMAP_JET)
    weights = np.where(highest > FAINT, .3 + .4 * highest.clip(0, 1), 0)[..., None]
    return (image * (1 - weights) + colours * weights).astype(np.uint8)


def _draw_identities(image: np.ndarray, boxes: np.ndarray, identities: np.ndarray) -> None:
    """A box with its number for each person, in a colour that stays with the number."""
    size = max(image.shape) / 1000
    for box, identity in zip(boxes, identities):
        hue = np.array([[[int(identity * HUE_STEP) % 180, 255, 255]]], np.uint8)
        colour = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
        left, top, right, bottom = (int(value) for value in box.round())
        cv2.rectangle(image, (left, top), (right, bottom), colour, max(1, round(2 * size)))
        # Inside of the image, also where the box is not.
        corner, scale = np.maximum((left, top), 0), max(size, .6)
        (width, height), _ = cv2.getTextSize(str(identity), FONT, scale, round(2 * scale))
        cv2.rectangle(image, corner, corner + (width + 6, height + 8), colour, cv2.FILLED)
        ink = (0, 0, 0) if np.dot(colour, LIGHTNESS) > 100 else (255, 255, 255)
        cv2.putText(image, str(identity), corner + (3, height + 4), FONT, scale, ink,
                    round(2 * scale), cv2.LINE_AA)
