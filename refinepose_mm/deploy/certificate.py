"""How far an exported file is from eager PyTorch, in keypoints of persons.

Heatmaps do not tell: where two pixels of a pooling window nearly tie, another rounding moves a
position, and heatmaps change around it while their maxima stay.
"""

from __future__ import annotations

import importlib.metadata
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmpose.codecs import UDPHeatmap
from mmpose.registry import DATASETS
from torch import Tensor, nn

from ..datasets.images import read_image
from ..datasets.toy_people import draw_scene
from ..engine.preflight import problems_of
from .config import TEST_DATA, explained
from .formats import Exported, NotFinite
from .media import Photos
from .network import InferenceNetwork, decode_heatmaps
from .predictor import crop_steps

COUNT = 32  # crops at most; ViT-B takes a third of a second for each
TOYS = 16
BATCH = 8


class Crops(NamedTuple):
    """Persons to compare by.

    Attributes:
        images: (N, 3, H, W), float32, 0 to 255, BGR.
        source: What they are, in words.
    """

    images: Tensor
    source: str


def crops_of(config: Config, photos: str | Path | None = None) -> Crops:
    """Whole photos as persons, else persons of the config's test data, else toy people.

    Args:
        config: Config of the model; its test pipeline crops.
        photos: A folder of photos, or one photo.

    Raises:
        FileNotFoundError: If the folder has no photos.
        OSError: If a photo cannot be read; names it.
        ValueError: If the config has no test pipeline that crops, or its data are broken.
    """
    dataset = config.test_dataloader.dataset
    steps = crop_steps(dataset)
    if photos is not None:
        if not Path(photos).exists():
            raise FileNotFoundError(f'{photos} not found')
        paths = Photos(Path(photos)).paths
        images = [read_image(paths[index]) for index in _spread(len(paths))]
        boxes = [(0, 0, image.shape[1], image.shape[0]) for image in images]
        return Crops(_crop(steps, images, boxes), f'{len(images)} whole images of {photos}')
    if not dataset.get('ann_file'):  # a bundled model comes without data
        return toy_crops(steps)
    problems = problems_of(config, ['test'])
    if problems:  # most often the data are on another machine
        return toy_crops(steps)._replace(
            source=f'{TOYS} toy people, not the test data ({problems[0]})')
    with explained(f'{TEST_DATA} of {config.filename or "the config"} cannot be read'), \
            redirect_stdout(None):  # of pycocotools
        data = DATASETS.build(dataset)
        crops = [data[index]['inputs'] for index in _spread(len(data))]
    return Crops(torch.stack(crops).float(), f'{len(crops)} persons of the test data')


def toy_crops(steps: list[dict]) -> Crops:
    """Toy people, drawn now.

    Args:
        steps: Transforms that crop, as in a test pipeline.
    """
    scenes = [draw_scene(np.random.default_rng(seed), 1) for seed in range(TOYS)]
    boxes = [(left, top, left + width, top + height)
             for _, (person, *_) in scenes for left, top, width, height in [person['bbox']]]
    return Crops(_crop(steps, [image for image, _ in scenes], boxes), f'{TOYS} toy people')


def default_steps(codec: object) -> list[dict]:
    """How persons are cropped for a model whose config is not known."""
    return [dict(type='GetBBoxCenterScale'),
            dict(type='TopdownAffine', input_size=tuple(map(int, codec.input_size)),
                 use_udp=isinstance(codec, UDPHeatmap))]


def _spread(length: int) -> list[int]:
    """Indices of at most COUNT things, evenly taken."""
    return np.linspace(0, length - 1, min(COUNT, length)).round().astype(int).tolist()


def _crop(steps: list[dict], images: list[np.ndarray], boxes: list[tuple]) -> Tensor:
    crop = Compose(steps)
    crops = [crop(dict(img=image, bbox=np.array([box], np.float32), bbox_score=np.ones(1)))['img']
             for image, box in zip(images, boxes)]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float().contiguous()


class Found(NamedTuple):
    """Keypoints (N, K, 2) in pixels of the crop, and scores (N, K)."""

    keypoints: np.ndarray
    scores: np.ndarray


@torch.no_grad()
def by_eager(model: nn.Module, images: Tensor) -> Found:
    """What eager PyTorch finds with a model as it was trained.

    Raises:
        NotFinite: If its heatmaps are not finite.
    """
    network = InferenceNetwork(model).eval()
    parts = []
    for batch in images.split(BATCH):
        heatmaps = network(batch)
        if not heatmaps.isfinite().all():
            raise NotFinite('its heatmaps are not finite; are the weights?')
        parts.append(decode_heatmaps(model.head.decoder, heatmaps))
    return Found(*map(np.concatenate, zip(*parts)))


def by_file(file: Exported, codec: object, images: Tensor) -> Found:
    """What an exported file finds.

    Raises:
        NotFinite: If its outputs are not finite.
    """
    parts = []
    for batch in images.split(BATCH):
        outputs = file(batch.numpy())
        parts.append(tuple(outputs) if not file.gives_heatmaps else
                     decode_heatmaps(codec, torch.from_numpy(outputs[0])))
    return Found(*map(np.concatenate, zip(*parts)))


def distances(ours: Found, theirs: Found) -> dict[str, float]:
    """``median`` and ``largest`` distance of keypoints in pixels of the crop, and the largest
    difference of scores, ``score``."""
    apart = np.linalg.norm(ours.keypoints - theirs.keypoints, axis=-1)
    drift = np.abs(ours.scores - theirs.scores).max()
    return {name: float(f'{value:.3g}') for name, value in (
        ('median', np.median(apart)), ('largest', apart.max()), ('score', drift))}


def engine_of(packages: tuple[str, ...]) -> str:
    """Name and version of what runs a file."""
    name = packages[0] if packages else 'torch'
    return f'{name} {importlib.metadata.version(name)}'


def in_words(certificate: dict[str, Any]) -> str:
    """A certificate as lines for people."""
    lines = [f'compared with eager PyTorch on {certificate["source"]}, in pixels of the crop:']
    for precision, values in certificate['precisions'].items():
        lines.append(f'  {certificate["engine"]}, {precision}: keypoints {values["median"]:g} '
                     f'apart in the median, {values["largest"]:g} at most; scores '
                     f'{values["score"]:g} at most')
    return '\n'.join(lines)
