"""A network whose heatmaps have clear peaks, as a trained one's have, without training it."""

import torch
from torch import nn


def give_peaks(model: nn.Module) -> nn.Module:
    """Smooth positive heatmaps of height 1: what decoding is made for, and well conditioned.

    Features of the head are not negative, so that positive weights add up to hills.
    """
    nn.init.uniform_(model.head.final_layer.weight)
    nn.init.zeros_(model.head.final_layer.bias)
    height, width = (16 * side for side in model.backbone.grid)
    with torch.no_grad():
        image = torch.rand(2, 3, height, width).mul(4).sub(2)
        peak = model.eval()(image, None, mode='tensor').amax((0, 2, 3))
        model.head.final_layer.weight /= peak[:, None, None, None]
    return model
