"""`deploy` and `fold`: the same function as the trained model, computed faster."""

from __future__ import annotations

import copy

import torch
from mmcv.cnn import fuse_conv_bn
from torch import nn

from ..models import GradualEmbedding
from ..models.vit_layers import TransformerBlock
from ..ops.linear import PackedLinear, can_pack


def deploy(model: nn.Module) -> nn.Module:
    """A copy of a pose estimator for inference in eager PyTorch, with the same keypoints.

    It does what :func:`fold` does. In single precision on a CPU it also packs the linear layers
    (:class:`~refinepose_mm.ops.linear.PackedLinear`); such a copy cannot be saved, moved or
    converted.

    Args:
        model: A trained ``TopdownPoseEstimator`` with RefinePose or ViTPose modules. It stays as
            it is.

    Returns:
        The copy, in evaluation mode. It cannot be trained.
    """
    model = fold(model)
    if can_pack(model):
        _pack_linear_layers(model)
    return model


def fold(model: nn.Module) -> nn.Module:
    """A copy of a pose estimator with fewer layers and the same keypoints.

    Sums are rounded in another order. Where two pixels of a pooling window nearly tie, the other
    one may win, which changes heatmaps around it.

    The stem's 7x7 and 1x1 convolutions become one, since nothing stands between them (Eq. 9).
    Every BatchNorm goes into the convolution before it, every LayerScale into the linear layer
    before it. Weights of convolutions are stored channels-last, the layout of the encoder's token
    map. Exported files and reduced precision start from this copy.

    Arguments and result as for :func:`deploy`.
    """
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, GradualEmbedding):
            module.conv7x7 = _merge_1x1(module.conv7x7, module.conv1x1)
            module.conv1x1 = nn.Identity()
        if isinstance(module, TransformerBlock):
            module.fold_layer_scale()
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


def _pack_linear_layers(model: nn.Module) -> None:
    """Replace the linear layers of all transformer blocks, in place."""
    for block in model.modules():
        if isinstance(block, TransformerBlock):
            block.attn.qkv = PackedLinear(block.attn.qkv)
            block.attn.proj = PackedLinear(block.attn.proj)
            (first, activate), second = block.ffn.layers
            fused = activate.approximate if isinstance(activate, nn.GELU) else None
            block.ffn.layers[0] = nn.Sequential(
                PackedLinear(first, gelu=fused), nn.Identity() if fused else activate)
            block.ffn.layers[1] = PackedLinear(second)
