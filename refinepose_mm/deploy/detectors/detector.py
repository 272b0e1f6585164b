"""Persons in images, many images at a time, whatever detector is behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ..predictor import Scene, require_image
from .exported import OPENERS, ExportedDetector
from .families import FAMILIES
from .openmmlab import MMDetDetector

THRESHOLD = .3  # as in MMPose's inferencer
# Images at a time. For each, RTMDet-tiny took 165 ms of CPU time alone or in twos and 220 in
# eights; with `keep_memory` 170, 163 and 151. (640x640, one thread of an EPYC, Zen 5, 2026-11-26)
BATCH = dict(cpu=2, cuda=8)


class Detector:
    """Finds persons with a detector of yours: nobody has published one for this package.

    ``detector = Detector('yolox_m.onnx')`` and ``predict(image, *detector(image))``.

    Args:
        source: An ONNX (.onnx) or OpenVINO (.xml) file of a family in
            :data:`~.families.FAMILIES`, or a config of mmdet (.py).
        weights: The checkpoint of a config.
        threshold: Lowest score of a person, 0 to 1.
        batch_size: Most images at a time; default: 2 on a CPU, 8 on a GPU.
        family: Of an exported file, where it does not tell itself.
        device: Where a config's model runs. Exported files run on the CPU.

    Attributes:
        description: What the detector is and what it is given, in one line.

    Raises:
        FileNotFoundError: If a file does not exist.
        ImportError: If a package is missing.
        ValueError: For a file that is no detector or does not tell its family, a threshold that is
            none, or weights where there must be none or the other way round.
    """

    def __init__(self, source: str | Path, weights: str | Path | None = None,
                 threshold: float = THRESHOLD, batch_size: int | None = None,
                 family: str | None = None, device: str = 'cpu'):
        path = Path(source)
        if not 0 <= threshold <= 1:
            raise ValueError(f'the threshold of boxes must be from 0 to 1, got {threshold}')
        if batch_size is None:
            batch_size = BATCH['cuda' if path.suffix == '.py' and device != 'cpu' else 'cpu']
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}')
        if family is not None and family not in FAMILIES:
            raise ValueError(f'family must be one of {", ".join(FAMILIES)}, got {family!r}')
        self.batch_size = batch_size
        if path.suffix in OPENERS:
            if weights is not None:
                raise ValueError(f'detector {path} has its weights inside, got {weights}, too')
            self.find = ExportedDetector(path, threshold, family)
        elif path.suffix == '.py':
            if weights is None or family is not None:
                raise ValueError(f'detector {path} is a config: it needs weights, and no family; '
                                 f'got weights {weights}, family {family}')
            self.find = MMDetDetector(path, weights, threshold, device)
        else:
            raise ValueError(f'detector {path} must be an exported file ({", ".join(OPENERS)}) or '
                             'a config of mmdet (.py)')
        self.description = self.find.description

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the persons in an image.

        Args:
            image: (H, W, 3), uint8, BGR.

        Returns:
            Boxes (N, 4) as (left, top, right, bottom) in pixels, and scores (N,).

        Raises:
            ValueError: If the image has another shape or type.
        """
        scene, = self.stream([Scene(image)])
        return scene.boxes, scene.box_scores

    def stream(self, scenes: Iterable[Scene]) -> Iterator[Scene]:
        """Give boxes and scores to scenes, in order; reads up to a batch of them ahead."""
        remaining = iter(scenes)
        while batch := list(islice(remaining, self.batch_size)):
            for scene in batch:
                require_image(scene)
            for scene, (boxes, scores) in zip(batch, self.find([one.image for one in batch])):
                yield scene._replace(boxes=boxes, box_scores=scores)
