"""A model that finds spots of light, exactly, without any weights, and a photo of three of them."""

import numpy as np
import torch
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.registry import KEYPOINT_CODECS
from torch import nn
from torch.nn.functional import interpolate

BOX = (60, 20, 180, 220)
SPOTS = np.array([[90., 60.], [170., 120.], [130., 212.]])  # where red, green and blue are


class _Identity(nn.Module):
    def forward(self, images):
        return images


class _Colours(nn.Module):
    """A head whose heatmaps are red, green and blue of the image, placed as UDP places them."""

    out_channels = 3

    def __init__(self, codec):
        super().__init__()
        self.decoder = KEYPOINT_CODECS.build(codec)

    def forward(self, images):
        width, height = map(int, self.decoder.heatmap_size)
        bright = images * torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1) + torch.tensor(
            [123.675, 116.28, 103.53]).view(3, 1, 1)
        return interpolate(bright, (height, width), mode='bilinear', align_corners=True) / 255


def colours(**changes):
    """A model that finds them, with a codec of other arguments."""
    codec = dict(dict(type='BatchedUDPHeatmap', input_size=(96, 128), heatmap_size=(24, 32),
                      sigma=1.5), **changes)
    model = nn.Module()
    model.backbone, model.head, model.with_neck = _Identity(), _Colours(codec), False
    model.data_preprocessor = PoseDataPreprocessor(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
    return model.eval()


def spotted():
    """Three spots of light on black, 320x240."""
    y, x = np.mgrid[:240, :320]
    spots = [np.exp(-((x - left)**2 + (y - top)**2) / (2 * 12**2)) for left, top in SPOTS]
    return (255 * np.stack(spots[::-1], -1)).round().astype(np.uint8)  # BGR
