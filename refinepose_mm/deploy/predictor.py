"""Many persons at once: crops of an image, batches of bounded size, any engine behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.registry import DATASETS, KEYPOINT_CODECS
from torch import Tensor

from .export import TARGETS, ExportedNetwork, load_exported, load_model
from .fold import deploy

PER_PERSON = ('GetBBoxCenterScale', 'TopdownAffine')  # transforms of the config's pipeline


class Poses(NamedTuple):
    """The keypoints of N persons.

    Attributes:
        keypoints: (N, K, 2) as (x, y) in pixels of the image.
        scores: (N, K), heights of the heatmaps' maxima.
    """

    keypoints: np.ndarray
    scores: np.ndarray


class BatchPredictor:
    """Finds the keypoints of given persons in images, in batches of bounded size.

    The same as ``mmpose.apis.inference_topdown`` for the same boxes, but memory does not grow with
    the number of persons, and an exported file can stand in for the network.

    Args:
        config: Config of the model, which also says how persons are cropped.
        weights: A checkpoint, or a file that ``refinepose export`` wrote.
        batch_size: Most persons that go through the network at once.
        flip_test: Average with the mirrored image; needs heatmaps, so no file that was exported
            with ``--decode``. Default: what the config says, if it can be done.
        device: Where a checkpoint runs. Exported files run on the CPU.

    Raises:
        FileNotFoundError: If config or weights do not exist.
        ValueError: For a batch size below 1, or a flip test that cannot be done.
    """

    def __init__(self, config: str | Path, weights: str | Path, batch_size: int = 32,
                 flip_test: bool | None = None, device: str = 'cpu'):
        for path in (config, weights):
            if not Path(path).is_file():
                raise FileNotFoundError(f'{path} not found')
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}')
        config = Config.fromfile(config)
        init_default_scope(config.default_scope)
        self.batch_size = batch_size
        dataset = config.test_dataloader.dataset
        self.crop = Compose([t for t in dataset.pipeline if t.type in PER_PERSON])
        self.codec = KEYPOINT_CODECS.build(config.model.head.decoder)
        self.metainfo = parse_pose_metainfo(
            dataset.get('metainfo') or DATASETS.get(dataset.type).METAINFO)
        self.engine = (load_exported(weights)
                       if Path(weights).suffix in [t.suffix for t in TARGETS.values()]
                       else _checkpoint_engine(config, weights, device))
        width, height = self.codec.input_size
        outputs = self.engine(np.zeros((1, 3, height, width), np.float32))
        self.gives_heatmaps = len(outputs) == 1
        if flip_test and not self.gives_heatmaps:
            raise ValueError(f'{weights} gives keypoints, of which no flip test can be made; '
                             'export it without --decode, or use flip_test=False')
        if flip_test is None:
            flip_test = self.gives_heatmaps and config.model.test_cfg.get('flip_test', False)
        self.flip_test = flip_test
        self.shift_heatmap = config.model.test_cfg.get('shift_heatmap', False)

    def __call__(self, image: np.ndarray, boxes: np.ndarray) -> Poses:
        """Find the keypoints of every person.

        Args:
            image: (H, W, 3), uint8, BGR.
            boxes: (N, 4) as (left, top, right, bottom) in pixels; N may be 0.

        Raises:
            ValueError: If image or boxes have another shape or type, or a box is empty.
        """
        return next(self.stream([(image, boxes)]))

    def stream(self, scenes: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[Poses]:
        """Find the persons of many images, such as the frames of a video, in full batches.

        Persons of neighbouring images share batches, so that many images with one person each
        run as fast as one image with many. Never more than a batch of crops is kept.

        Args:
            scenes: Images and boxes, as for a single call; read as they are needed.

        Yields:
            The poses of each image, in order, up to a batch of images behind what was read.
        """
        crops: list[dict] = []
        found: list[tuple[np.ndarray, np.ndarray]] = []  # of images that are not complete yet
        counts: deque[int] = deque()

        def complete() -> Iterator[Poses]:
            while counts and len(found) >= counts[0]:
                count = counts.popleft()
                yield self._gather(found[:count])
                del found[:count]

        for image, boxes in scenes:
            boxes = _check(image, boxes)
            counts.append(len(boxes))
            for box in boxes:
                crops.append(self.crop(dict(img=image, bbox=box[None], bbox_score=np.ones(1))))
                if len(crops) == self.batch_size:
                    found += self._predict(crops)
                    crops.clear()
            if crops and len(counts) > self.batch_size:  # images without persons pile up, too
                found += self._predict(crops)
                crops.clear()
            yield from complete()
        if crops:
            found += self._predict(crops)
        yield from complete()

    def _gather(self, found: list[tuple[np.ndarray, np.ndarray]]) -> Poses:
        if not found:
            count = len(self.metainfo['flip_indices'])
            return Poses(np.zeros((0, count, 2)), np.zeros((0, count)))
        return Poses(*map(np.stack, zip(*found)))

    def _predict(self, crops: list[dict]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Keypoints (K, 2) in pixels of its image and scores (K,), for each crop of a batch."""
        inputs = np.stack([crop['img'] for crop in crops]).transpose(0, 3, 1, 2).astype(np.float32)
        if self.gives_heatmaps:
            found = self.codec.batch_decode(self.heatmaps(inputs))
            keypoints, scores = (np.concatenate(parts) for parts in found)
        else:
            keypoints, scores = self.engine(inputs)
        centers, scales = (np.stack([crop[name] for crop in crops])[:, None]
                           for name in ('input_center', 'input_scale'))
        keypoints = (keypoints / self.codec.input_size - .5) * scales + centers
        return list(zip(keypoints, scores))

    def heatmaps(self, inputs: np.ndarray) -> Tensor:
        """Heatmaps of crops, averaged with those of their mirror images if there is a flip test.

        Shapes: (B, 3, H, W), float32, 0 to 255, BGR -> (B, K, H/4, W/4). Not for files that were
        exported with ``--decode``.
        """
        heatmaps = torch.from_numpy(self.engine(inputs)[0])
        if not self.flip_test:
            return heatmaps
        mirrored = torch.from_numpy(self.engine(np.ascontiguousarray(inputs[..., ::-1]))[0])
        return (heatmaps + flip_heatmaps(
            mirrored, flip_indices=self.metainfo['flip_indices'],
            shift_heatmap=self.shift_heatmap)) / 2


def _checkpoint_engine(config: Config, weights: str | Path,
                       device: str) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A checkpoint behind the same call as an exported file that gives heatmaps."""
    network = ExportedNetwork(deploy(load_model(config, weights, device)), decode=False)

    @torch.no_grad()
    def engine(images: np.ndarray) -> list[np.ndarray]:
        return [network(torch.from_numpy(images).to(device)).cpu().numpy()]

    return engine


def _check(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError('image must be (H, W, 3), uint8, BGR; got '
                         f'{image.shape}, {image.dtype}')
    boxes = np.asarray(boxes, np.float32)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f'boxes must be (N, 4), got {boxes.shape}')
    empty = np.flatnonzero((boxes[:, 2:] <= boxes[:, :2]).any(1))
    if len(empty):
        raise ValueError(f'box {empty[0]} is empty: left, top, right, bottom = '
                         f'{", ".join(f"{v:g}" for v in boxes[empty[0]])}')
    return boxes
