"""Many persons at once: crops of an image, batches of bounded size, any engine behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.registry import KEYPOINT_CODECS
from torch import Tensor

from ..bundled import config_and_weights
from .calibration import Calibration, from_dict
from .config import (
    DECODER,
    TEST_DATA,
    explained,
    load_config,
    metainfo_of,
    require_file,
    usable_device,
)
from .fold import deploy
from .formats import NotFinite, is_exported, load_exported
from .metadata import require_fit
from .network import InferenceNetwork, decode_heatmaps, load_model
from .outputs import require_outputs
from .poses import Heatmaps, Poses

PER_PERSON = ('GetBBoxCenterScale', 'TopdownAffine')  # transforms of the config's pipeline
Engine = Callable[[Tensor], 'list[Tensor]']
MAX_COORDINATE = 1e6  # pixels; OpenCV's warp fails far beyond


class Scene(NamedTuple):
    """An image and the persons in it.

    Attributes:
        image: (H, W, 3), uint8, BGR.
        boxes: (N, 4) as (left, top, right, bottom) in pixels; N may be 0. None: the whole image is
            one person.
        name: Of the photo or frame; error messages name it.
        box_scores: (N,), the detector's, if there are any.
        time: Of a frame, in seconds.
    """

    image: np.ndarray
    boxes: np.ndarray | None = None
    name: str = ''
    box_scores: np.ndarray | None = None
    time: Fraction | float | None = None


class _Waiting(NamedTuple):
    """A scene whose persons are not all found yet."""

    scene: Scene
    boxes: np.ndarray
    found: list[tuple[np.ndarray, ...]]


class BatchPredictor:
    """Finds the keypoints of given persons in images, in batches of bounded size.

    The results equal those of ``mmpose.apis.inference_topdown`` for the same boxes. Memory does
    not grow with the number of persons, and an exported file can stand in for the network. On a
    GPU crops are uploaded once; flip test, network and decoding stay there.

    Args:
        config: Config of the model; it also says how persons are cropped, and its codec, any of
            MMPose's for heatmaps, decodes them. 'demo' is the bundled model.
        weights: A checkpoint, or a file that ``refinepose export`` wrote. Default: those of the
            bundled model.
        batch_size: Most persons that go through the network at once.
        flip_test: Average with the mirrored image. This needs heatmaps, so no file that was
            exported with ``--decode``. Default: what the config says, where it is possible.
        device: Where it runs; of exported files see
            :func:`~refinepose_mm.deploy.formats.load_exported`.
        trust: As for :func:`~refinepose_mm.deploy.formats.load_exported`.
        raw_scores: Give heights of maxima as scores even if the weights are calibrated (see
            :mod:`~refinepose_mm.deploy.calibration`).

    Attributes:
        calibration: What makes probabilities of heights; None where scores are heights.

    Raises:
        FileNotFoundError: If config or weights do not exist.
        ValueError: For a batch size below 1, an impossible flip test, a config without codec or
            test data, broken weights or those of another model, or a device that this machine
            lacks.
    """

    def __init__(self, config: str | Path, weights: str | Path | None = None,
                 batch_size: int = 32, flip_test: bool | None = None, device: str = 'cpu',
                 trust: bool = False, raw_scores: bool = False):
        config, weights = config_and_weights(config, weights)
        config = load_config(config, DECODER, f'{TEST_DATA}.pipeline')
        require_file(weights)
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}')
        self.batch_size = batch_size
        with explained(f'{config.filename or "the config"} cannot be used'):
            self._read(config)
        if is_exported(weights):
            self.device = torch.device('cpu')
            self.engine, self.calibration = _exported_engine(config, weights, trust, device)
        else:
            self.device = usable_device(device)
            self.engine, self.calibration = _checkpoint_engine(config, weights, device)
        if self.calibration is not None:
            self.calibration.require_joints(self.names, weights)
        if raw_scores:
            self.calibration = None
        width, height = self.codec.input_size
        outputs = self.engine(torch.zeros(1, 3, height, width, device=self.device))
        self.gives_heatmaps = len(outputs) == 1
        if flip_test and not self.gives_heatmaps:
            raise ValueError(f'{weights} outputs keypoints, but a flip test needs heatmaps; export '
                             'it without --decode, or use flip_test=False')
        test_cfg = config.model.get('test_cfg') or {}
        if test_cfg.get('flip_mode', 'heatmap') != 'heatmap':
            raise ValueError("BatchPredictor averages heatmaps, so model.test_cfg.flip_mode must "
                             f"be 'heatmap', got {test_cfg['flip_mode']!r}")
        if flip_test is None:
            flip_test = self.gives_heatmaps and test_cfg.get('flip_test', False)
        self.flip_test = flip_test
        self.shift_heatmap = test_cfg.get('shift_heatmap', False)

    def _read(self, config: Config) -> None:
        """Crops, codec and keypoints of a config."""
        dataset = config.test_dataloader.dataset
        self.crop = Compose(crop_steps(dataset))
        self.codec = KEYPOINT_CODECS.build(config.model.head.decoder)
        if not hasattr(self.codec, 'heatmap_size'):
            raise ValueError(f'{DECODER} must be a codec of heatmaps, got '
                             f'{type(self.codec).__name__}')
        self.metainfo = metainfo_of(dataset)

    def __call__(self, image: np.ndarray, boxes: np.ndarray | None = None,
                 box_scores: np.ndarray | None = None) -> Poses:
        """Find the keypoints of every person.

        Args:
            image: (H, W, 3), uint8, BGR.
            boxes: (N, 4) as (left, top, right, bottom) in pixels; N may be 0. Default: the whole
                image is one person.
            box_scores: (N,), the detector's, if there are any.

        Raises:
            ValueError: If image or boxes have another shape or type, or a box is empty.
        """
        return next(self.stream([Scene(image, boxes, box_scores=box_scores)]))[1]

    def stream(self, scenes: Iterable[Scene],
               heatmaps: bool = False) -> Iterator[tuple[Scene, Poses]]:
        """Find the persons of many images, such as the frames of a video, in full batches.

        Persons of neighbouring images share batches, so many images with one person each run as
        fast as one image with many. Never more than a batch of crops is kept.

        Args:
            scenes: Images with boxes, as for a single call; read as they are needed. A pair of
                image and boxes will do.
            heatmaps: Give the heatmaps along.

        Yields:
            Each scene with its poses, in order, up to a batch of scenes behind what was read.

        Raises:
            ValueError: If heatmaps are asked of a file that outputs keypoints.
        """
        if heatmaps:
            self.require_heatmaps()
        crops: list[dict] = []
        owners: list[_Waiting] = []  # of the crops
        waiting: deque[_Waiting] = deque()

        def flush() -> None:
            for owner, found in zip(owners, self._predict(crops, heatmaps)):
                owner.found.append(found)
            crops.clear()
            owners.clear()

        def complete() -> Iterator[tuple[Scene, Poses]]:
            while waiting and len(waiting[0].found) == len(waiting[0].boxes):
                first = waiting.popleft()
                yield first.scene, self._gather(first)

        for scene in scenes:
            scene = Scene(*scene)
            boxes = _check(scene)
            waiting.append(_Waiting(scene, boxes, []))
            for box in boxes:
                crops.append(self.crop(dict(
                    img=scene.image, bbox=box[None], bbox_score=np.ones(1))))
                owners.append(waiting[-1])
                if len(crops) == self.batch_size:
                    flush()
            if crops and len(waiting) > self.batch_size:  # images without persons pile up, too
                flush()
            yield from complete()
        if crops:
            flush()
        yield from complete()

    def require_heatmaps(self) -> None:
        """Check that there are heatmaps to be had.

        Raises:
            ValueError: If the exported file outputs keypoints.
        """
        if not self.gives_heatmaps:
            raise ValueError('this exported file outputs keypoints, and has no heatmaps to give; '
                             'export it without --decode')

    def _gather(self, done: _Waiting) -> Poses:
        """The poses of a scene from those of its persons."""
        poses = Poses(*self._nobody, names=self.names, boxes=done.boxes,
                      box_scores=done.scene.box_scores)
        if done.found:
            poses.keypoints, poses.scores, *maps = map(np.stack, zip(*done.found))
            poses.heatmaps = Heatmaps(*maps) if maps else None
        if self.calibration is not None:
            poses.expected_oks = self.calibration.expected_oks(poses.scores)
            poses.scores = self.calibration.probabilities(poses.scores)
        return poses

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the K keypoints."""
        by_number = self.metainfo['keypoint_id2name']
        return tuple(by_number[number] for number in range(len(by_number)))

    @property
    def _nobody(self) -> tuple[np.ndarray, np.ndarray]:
        count = len(self.metainfo['flip_indices'])
        return np.zeros((0, count, 2)), np.zeros((0, count))

    def _predict(self, crops: list[dict], keep: bool) -> list[tuple[np.ndarray, ...]]:
        """Keypoints (K, 2) in pixels of its image and scores (K,), for each crop of a batch.

        To keep heatmaps adds the fields of :class:`Heatmaps` for one person.
        """
        inputs = np.stack([crop['img'] for crop in crops]).transpose(0, 3, 1, 2)
        images = torch.from_numpy(inputs).to(self.device).float().contiguous()
        if self.gives_heatmaps:
            heatmaps = self.heatmaps(images)
            keypoints, scores = decode_heatmaps(self.codec, heatmaps)
        else:
            keypoints, scores = (output.numpy() for output in self.engine(images))
        centers, scales = (np.stack([crop[name] for crop in crops])[:, None]
                           for name in ('input_center', 'input_scale'))
        keypoints = (keypoints / self.codec.input_size - .5) * scales + centers
        if not keep:
            return list(zip(keypoints, scores))
        steps = getattr(self.codec, 'pixels_per_step', self.codec.scale_factor)
        steps = steps / self.codec.input_size * scales[:, 0]
        return list(zip(keypoints, scores, heatmaps.float().cpu().numpy(),
                        (centers - scales / 2)[:, 0], steps))

    def heatmaps(self, images: Tensor) -> Tensor:
        """Heatmaps of crops, averaged with those of their mirror images if there is a flip test.

        Shapes: (B, 3, H, W), float32, 0 to 255, BGR -> (B, K, H/4, W/4), both on
        ``self.device``. Not for files that were exported with ``--decode``.
        """
        heatmaps, = self.engine(images)
        if not self.flip_test:
            return heatmaps
        mirrored, = self.engine(images.flip(-1))
        return (heatmaps + flip_heatmaps(
            mirrored, flip_indices=self.metainfo['flip_indices'],
            shift_heatmap=self.shift_heatmap)) / 2


def crop_steps(dataset: dict) -> list[dict]:
    """The transforms of the test pipeline that crop a person.

    Raises:
        ValueError: If one is missing.
    """
    steps = [step for step in dataset.pipeline if step.type in PER_PERSON]
    if len(steps) < len(PER_PERSON):
        raise ValueError(f'{TEST_DATA}.pipeline needs {" and ".join(PER_PERSON)}, got '
                         f'{", ".join(step.type for step in dataset.pipeline) or "none"}')
    return steps


def _checkpoint_engine(config: Config, weights: str | Path,
                       device: str) -> tuple[Engine, Calibration | None]:
    """A checkpoint behind the same call as an exported file that outputs heatmaps."""
    model = load_model(config, weights, device)
    network = InferenceNetwork(deploy(model))

    @torch.no_grad()
    def engine(images: Tensor) -> list[Tensor]:
        heatmaps = network(images)
        if not heatmaps.isfinite().all():
            raise NotFinite(f'{weights} gives NaN or infinite numbers')
        return [heatmaps]

    return engine, model.calibration


def _exported_engine(config: Config, weights: str | Path, trust: bool,
                     device: str) -> tuple[Engine, Calibration | None]:
    """An exported file from tensors to tensors."""
    call = load_exported(weights, trust=trust, device=device)
    require_fit(call.metadata, config, weights)
    require_outputs(call, config)
    calibration = (call.metadata or {}).get('calibration')
    return (lambda images: [torch.from_numpy(output) for output in call(images.numpy())],
            calibration and from_dict(calibration, weights))


def require_image(scene: Scene) -> None:
    """Check that the image is as documented.

    Raises:
        ValueError: If it has another shape or type.
    """
    image, where = scene.image, f'{scene.name}: ' if scene.name else ''
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f'{where}image must be (H, W, 3), uint8, BGR; got {image.shape}, '
                         f'{image.dtype}')


def _check(scene: Scene) -> np.ndarray:
    """The boxes (N, 4) as float32, if image and boxes are as documented."""
    require_image(scene)
    where = f'{scene.name}: ' if scene.name else ''
    height, width = scene.image.shape[:2]
    boxes = np.asarray([[0, 0, width, height]] if scene.boxes is None else scene.boxes, np.float32)
    if boxes.size == 0:
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f'{where}boxes must be (N, 4), got {boxes.shape}')
    for problem, wrong in (
            ('is not finite', ~np.isfinite(boxes).all(1)),
            ('is beyond a million pixels', (np.abs(boxes) > MAX_COORDINATE).any(1)),
            ('is empty', (boxes[:, 2:] <= boxes[:, :2]).any(1))):
        if wrong.any():
            index = int(np.flatnonzero(wrong)[0])
            raise ValueError(f'{where}box {index} {problem}: left, top, right, bottom = '
                             f'{", ".join(f"{value:g}" for value in boxes[index])}')
    if scene.box_scores is not None and np.shape(scene.box_scores) != (len(boxes), ):
        raise ValueError(f'{where}box_scores must be ({len(boxes)},), got '
                         f'{np.shape(scene.box_scores)}')
    return boxes


def usual_threshold(predictor: BatchPredictor) -> float:
    """From which score a keypoint is shown: as likely right as wrong, or the usual height."""
    return .3 if predictor.calibration is None else .5
