"""Two models on the same photos, in the manner of the paper's Fig. 6.

    python projects/real_photo_study/pictures.py page.png \
        configs/vitpose_classic.py vitpose.pth configs/refinepose.py refinepose.pth

Each row is a person; the persons are spread evenly over the validation set. A row shows the photo
with the labelled skeleton, then for each model: the heatmaps, the heatmaps on the photo, the
skeleton, and a detail around the joint in which the two models differ most, with a cross at the
label.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mmengine.config import Config
from mmpose.registry import DATASETS

from refinepose_mm.deploy.predictor import BatchPredictor

DETAIL = .22  # half the side of a detail in heights of the crop


class Prediction(NamedTuple):
    """The output of a model for N crops."""

    name: str
    heatmaps: np.ndarray  # N,H,W: the highest of all joints
    keypoints: np.ndarray  # N,K,2 in pixels of the crop


def load_crops(config: Config, count: int) -> list[dict]:
    """Crops of persons spread evenly over the test set, before the step that packs them."""
    dataset = config.test_dataloader.dataset
    steps = [step for step in dataset.pipeline if step.type != 'PackPoseInputs']
    dataset = DATASETS.build(dict(dataset, pipeline=steps))
    chosen = np.linspace(0, len(dataset) - 1, count).round().astype(int)
    return [dataset[index] for index in chosen.tolist()]


def predict(name: str, predictor: BatchPredictor, crops: list[dict]) -> Prediction:
    inputs = np.stack([crop['img'] for crop in crops]).transpose(0, 3, 1, 2)
    heatmaps = predictor.heatmaps(torch.from_numpy(inputs).to(predictor.device).float())
    keypoints, _ = predictor.codec.batch_decode(heatmaps)
    return Prediction(name, heatmaps.amax(1).cpu().numpy(), np.concatenate(keypoints))


def extent(heatmap: np.ndarray, image: np.ndarray) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a heatmap (h, w) in pixels of its crop (H, W, 3).

    With UDP the centres of the corner pixels of both coincide.
    """
    height, width = np.subtract(image.shape[:2], 1)
    y, x = np.divide((height, width), np.subtract(heatmap.shape, 1)) / 2  # half a pixel of the map
    return -x, width + x, height + y, -y


def draw_skeleton(axes: Axes, keypoints: np.ndarray, known: np.ndarray, meta: dict) -> None:
    for (start, end), color in zip(meta['skeleton_links'], meta['skeleton_link_colors']):
        if known[start] and known[end]:
            axes.plot(*keypoints[[start, end]].T, color=color / 255, linewidth=2)
    axes.scatter(*keypoints[known].T, s=8, color='white', edgecolors='black', linewidths=.5,
                 zorder=3)


def draw_page(crops: list[dict], predictions: list[Prediction], meta: dict) -> Figure:
    """A row of axes for each crop: the label, then four axes for each model."""
    columns = 1 + 4 * len(predictions)
    figure = Figure(figsize=(1.7 * columns, 1.75 * len(crops)), dpi=100, layout='constrained')
    grid = figure.subplots(len(crops), columns, squeeze=False)
    grid[0, 0].set_title('label', fontsize=9)
    for number, (crop, row) in enumerate(zip(crops, grid)):
        image = crop['img'][..., ::-1]
        height, width = image.shape[:2]
        labels, known = crop['transformed_keypoints'][0], crop['keypoints_visible'][0] > 0
        apart = np.linalg.norm(
            predictions[0].keypoints[number] - predictions[1].keypoints[number], axis=1)
        joint = int(np.where(known, apart, 0).argmax())
        for axes in row:
            axes.set(xticks=[], yticks=[])
        row[0].imshow(image)
        draw_skeleton(row[0], labels, known, meta)
        for prediction, (hot, overlay, skeleton, detail) in zip(
                predictions, row[1:].reshape(len(predictions), 4)):
            heatmap, keypoints = prediction.heatmaps[number], prediction.keypoints[number]
            overlay.imshow(image)
            place = extent(heatmap, image)
            hot.imshow(heatmap, cmap='inferno', extent=place)
            overlay.imshow(heatmap, cmap='inferno', alpha=.55, interpolation='bilinear',
                           extent=place)
            for axes in (hot, overlay):  # the map's outer pixels are half outside of the photo
                axes.set(xlim=(-.5, width - .5), ylim=(height - .5, -.5))
            for axes in (skeleton, detail):
                axes.imshow(image)
                draw_skeleton(axes, keypoints, known, meta)
            x, y = labels[joint]
            half = DETAIL * height
            detail.set(xlim=(x - half, x + half), ylim=(y + half, y - half))
            detail.scatter(x, y, marker='x', s=80, color='red', zorder=4)
            if number == 0:
                hot.set_title(f'{prediction.name}\nheatmaps', fontsize=9)
                for axes, title in ((overlay, 'on the photo'), (skeleton, 'skeleton'),
                                    (detail, 'detail')):
                    axes.set_title(title, fontsize=9)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('page', type=Path, help='picture to write')
    parser.add_argument('models', nargs=4, metavar='MODEL',
                        help='config and checkpoint (or exported file) of the first model, then of '
                        'the second')
    parser.add_argument('--photos', type=int, default=6, help='rows of the page')
    args = parser.parse_args()
    try:
        if not args.page.parent.is_dir():
            raise FileNotFoundError(f'folder {args.page.parent} of {args.page.name} not found')
        predictors = {Path(config).stem: BatchPredictor(config, weights)
                      for config, weights in zip(args.models[::2], args.models[1::2])}
        crops = load_crops(Config.fromfile(args.models[0]), args.photos)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f'error: {error}')
    predictions = [predict(name, predictor, crops) for name, predictor in predictors.items()]
    metainfo = next(iter(predictors.values())).metainfo
    draw_page(crops, predictions, metainfo).savefig(args.page)
    print(f'wrote {args.page}')


if __name__ == '__main__':
    main()
