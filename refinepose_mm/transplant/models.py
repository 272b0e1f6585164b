"""The source, and the RefinePose that learns from it."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..recipes import refinepose, vitpose
from ..weights.loading import load_source
from ..weights.output import build_vitpose
from ..weights.pose_heads import find_head, head_arguments
from ..weights.source import Source

HEADS = ('keep', 'fusion')


class Seen(NamedTuple):
    """What a model makes of images.

    Attributes:
        tokens: As the first block sees them, (B, N, D).
        features: As the head sees them, (B, D, h, w).
        heatmaps: (B, K, 4h, 4w).
    """

    tokens: Tensor
    features: Tensor
    heatmaps: Tensor


def build_source(source: Source, img_size: tuple[int, int]) -> nn.Module:
    """The ViTPose, for inference only.

    Raises:
        ValueError: If it is no ViTPose.
    """
    model, _ = build_vitpose(source, img_size)
    return model.requires_grad_(False)


def build_target(source: Source, img_size: tuple[int, int], head: str,
                 seed: int) -> tuple[nn.Module, dict[str, Any]]:
    """The RefinePose: the source's encoder behind a fresh stem, with gates that start at 0.

    Args:
        source: The ViTPose.
        img_size: Of the images.
        head: 'keep' the source's, or a fresh 'fusion' head.
        seed: Of the fresh weights.

    Returns:
        The model and its config.
    """
    arch = source.arch._replace(layer_scale=False).as_config()
    weights = find_head(source)
    joints = len(weights['final_layer.weight'])
    config = refinepose(arch, img_size, joints, shortcut='gated')
    if head == 'keep':
        old = vitpose(arch, img_size, joints, **head_arguments(weights))
        config['head'] = old['head']
        if 'neck' in old:
            config['neck'] = old['neck']
    torch.manual_seed(seed)
    model = MODELS.build(config)
    model.init_weights()
    load_source(model.backbone, source)
    if head == 'keep':
        model.head.load_state_dict(weights, strict=False)  # build_source has looked at it
    return model, config


def learning(model: nn.Module, head: str) -> nn.Module:
    """Freeze all but what learns, and return that: the stem, and a fresh head."""
    model.requires_grad_(False).eval()
    parts = nn.ModuleList([model.backbone.patch_embed, *([model.head] if head == 'fusion' else [])])
    return parts.requires_grad_(True).train()


@torch.no_grad()
def align(target: nn.Module, expected: Seen) -> None:
    """Let the fresh stem's last BatchNorm start with the mean and spread of the source's tokens.

    Args:
        target: Its backbone's stem is a :class:`~refinepose_mm.models.GradualEmbedding`.
        expected: What the source makes of some images.
    """
    tokens = (expected.tokens - target.backbone.pos_embed).flatten(0, 1)
    norm = target.backbone.patch_embed.final_conv.norm
    norm.weight.copy_(tokens.std(dim=0))
    norm.bias.copy_(tokens.mean(dim=0))


def see(model: nn.Module, images: Tensor) -> Seen:
    """Run a pose estimator on images (B, 3, H, W), 0 to 255, BGR."""
    preprocessor, taken = model.data_preprocessor, []
    if preprocessor._channel_conversion:
        images = images.flip(1)
    images = (images - preprocessor.mean) / preprocessor.std
    hook = model.backbone.patch_embed.register_forward_hook(
        lambda module, inputs, output: taken.append(output.feature_map))
    try:
        features = model.backbone(images)
    finally:
        hook.remove()
    tokens = taken[0].flatten(2).transpose(1, 2) + model.backbone.pos_embed
    heatmaps = model.head(model.neck(features) if model.with_neck else features)
    return Seen(tokens, features.feature_map, heatmaps)
