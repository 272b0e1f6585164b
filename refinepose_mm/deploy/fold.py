"""`fold` and `deploy`: from a trained model to the same function, computed faster."""

from __future__ import annotations

import copy

import torch
from mmcv.cnn import fuse_conv_bn
from torch import nn

from ..models import GradualEmbedding
from .pack import can_pack, pack_linear_layers


def deploy(model: nn.Module) -> nn.Module:
    """A copy of a pose estimator for inference in eager PyTorch, with the same outputs (to 1e-4).

    What :func:`fold` does; in single precision on the CPU the linear layers are packed besides
    (:mod:`.pack`), after which the copy cannot be saved, moved or converted.

    Args:
        model: A trained ``TopdownPoseEstimator``, with RefinePose or ViTPose modules. It is left
            as it is.

    Returns:
        The copy, in evaluation mode. It cannot be trained.
    """
    model = fold(model)
    if can_pack(model):
        pack_linear_layers(model)
    return model


def fold(model: nn.Module) -> nn.Module:
    """A copy of a pose estimator with fewer layers and the same outputs (to 1e-4).

    The stem's 7x7 and 1x1 convolutions, which nothing stands between (Eq. 9), become one; every
    BatchNorm goes into the convolution before it; weights of convolutions are stored
    channels-last, in which the token map comes out of the encoder anyway. Exported files and
    reduced precision start from here.

    Args and returns as :func:`deploy`.
    """
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, GradualEmbedding):
            module.conv7x7 = _merge_1x1(module.conv7x7, module.conv1x1)
            module.conv1x1 = nn.Identity()
    model = fuse_conv_bn(model).to(memory_format=torch.channels_last)
    return model.requires_grad_(False)


@torch.no_grad()
def _merge_1x1(first: nn.Conv2d, pointwise: nn.Conv2d) -> nn.Conv2d:
    """One convolution that does what two in a row do; neither has a bias."""
    merged = nn.Conv2d(
        first.in_channels, pointwise.out_channels, first.kernel_size, first.stride, first.padding,
        bias=False).to(first.weight)
    # Sums of products in double precision, rounded once.
    weight = torch.einsum('om,mikl->oikl', pointwise.weight[:, :, 0, 0].double(),
                          first.weight.double())
    merged.weight.copy_(weight)
    return merged
