"""`refinepose export --interface rtmlib`: a file that rtmlib's ``ViTPose`` runs as it is.

rtmlib (0.0.16) differs from our files in three ways, which the graph undoes:

- It normalises: ImageNet's figures for R, G, B, taken for B, G, R.
- Its crop maps w pixels of the box to the w of the crop, not to w - 1 as UDP does.
- It maps the heatmap's W - 1 steps to the whole box, as UDP does, so that its keypoints would be
  up to a pixel of the crop too far right and down. Linear interpolation shrinks the heatmaps by
  (w - 1) / w towards the upper left.
"""

from __future__ import annotations

from typing import Any

import torch
from mmpose.codecs import UDPHeatmap
from torch import Tensor, nn

from .network import InferenceNetwork

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # rtmlib's, for B, G, R
PADDING = 1.25  # rtmlib's


class RtmlibNetwork(nn.Module):
    """A network between rtmlib's inputs and outputs.

    Args:
        network: Without decoding.
        codec: Of the heatmaps.

    Shapes: images (B, 3, H, W), BGR, normalised by rtmlib -> heatmaps (B, K, H/4, W/4).

    Raises:
        ValueError: If the codec is not UDP's, or ``network`` decodes.
    """

    decode = False

    def __init__(self, network: InferenceNetwork, codec: object):
        super().__init__()
        if not isinstance(codec, UDPHeatmap):
            raise ValueError("rtmlib's ViTPose decodes as UDP does, so --interface rtmlib needs "
                             'the codec UDPHeatmap or BatchedUDPHeatmap, got '
                             f'{type(codec).__name__}')
        if network.decode:
            raise ValueError('rtmlib decodes heatmaps itself: --interface rtmlib and --decode '
                             'exclude each other')
        self.network = network
        self.register_buffer('mean', torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer('std', torch.tensor(STD).view(1, 3, 1, 1))
        (width, height), (columns, rows) = codec.input_size, codec.heatmap_size
        self.register_buffer('shrink_x', shrinking(int(columns), int(width)).T.contiguous())
        self.register_buffer('shrink_y', shrinking(int(rows), int(height)))

    def forward(self, images: Tensor) -> Tensor:
        heatmaps = self.network(images * self.std + self.mean)
        return self.shrink_y @ heatmaps @ self.shrink_x


def shrinking(steps: int, pixels: int) -> Tensor:
    """A matrix (steps, steps) that moves what is at x to x * (pixels - 1) / pixels."""
    place = (torch.arange(steps) * pixels / (pixels - 1)).clamp(max=steps - 1)
    left = place.floor().long().clamp(max=steps - 2)
    matrix = torch.zeros(steps, steps)
    matrix[torch.arange(steps), left] = 1 - (place - left)
    matrix[torch.arange(steps), left + 1] = place - left
    return matrix


def redescribe(metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata of such a file.

    Raises:
        ValueError: If persons are cropped with another padding than rtmlib's.
    """
    padding = metadata.get('crop', {}).get('padding', PADDING)
    if padding != PADDING:
        raise ValueError(f'rtmlib crops persons with a padding of {PADDING}, the config with '
                         f'{padding}')
    # No calibration: rtmlib asks for none, and maxima of interpolated maps are lower.
    kept = {name: value for name, value in metadata.items() if name != 'calibration'}
    return dict(
        kept, interface='rtmlib', crop=dict(padding=PADDING, udp=False),
        normalization=dict(mean=list(MEAN), std=list(STD), channels='BGR', inside=False))
