"""Proof that a loaded encoder is its source's function: the source's own code runs beside ours.

Class and register tokens take no part in ours, so the source runs without them, too: its own code
embeds the image, the tokens of patches go on alone. What is compared are the plain ViTs (patch
embedding, no shortcuts) on the source's own grid of tokens, in double precision.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.features import PoseFeatures
from ..models.shortcut_vit import PATCH_SIZE, ShortcutViT
from .conversion import EXPERTS, REGISTERS, convert
from .source import Source

SQUARE = (14, 14)  # tokens, where no position embedding shows a grid
LARGEST = 150e6  # parameters of what is compared in double precision; memory decides
TOLERANCES = {torch.double: 1e-6, torch.float32: 1e-3}  # rotary angles are in single precision


class Proof(NamedTuple):
    """How far our encoder is from its source.

    Attributes:
        difference: Largest one of the tokens, relative to the largest of them.
        against: Package, version and class of the source.
        dtype: Precision of the comparison.
    """

    difference: float
    against: str
    dtype: torch.dtype

    @property
    def holds(self) -> bool:
        """Whether the difference is one of rounding."""
        return self.difference < TOLERANCES[self.dtype]

    def __str__(self) -> str:
        precision = str(self.dtype).replace('torch.', '')
        return f'largest difference {self.difference:.1e}, {precision}, from {self.against}'


class NoProof(Exception):
    """Why no source can be asked."""


class _Stem(nn.Module):
    """The source's patch embedding, of any patch size."""

    def __init__(self, tokens: Tensor):
        super().__init__()
        self.tokens = tokens

    def forward(self, image: Tensor) -> PoseFeatures:
        return PoseFeatures((), self.tokens)


@torch.no_grad()
def prove(source: Source) -> Proof:
    """Compare the plain encoder of a checkpoint with the code that it comes from.

    Raises:
        NoProof: If that code is not installed, or nobody's that can be.
    """
    if source.patch_size is None:
        raise NoProof('the file has no patch embedding')
    if source.facts.shortcut not in (None, 'none') or any(
            key.endswith('gates') for key in source.weights):
        raise NoProof('it has shortcuts, which no other package has')
    package = source.format.package
    if not package:
        raise NoProof('its code is in no package')
    try:
        module = importlib.import_module(package)
    except Exception as error:  # a broken package raises what it likes
        absent = isinstance(error, ModuleNotFoundError) and error.name == package
        raise NoProof(f'{package} {"is not installed" if absent else "does not import"}') from None
    plain = convert(source.weights, source.format, source.prefix, None, source.expert, source.name)
    grid = plain.grid or SQUARE
    if source.arch.rope:
        plain.fill('pos_embed', (1, grid[0] * grid[1], source.arch.embed_dims))
    dtype = torch.double
    if sum(value.numel() for value in plain.tensors.values()) > LARGEST:
        dtype = torch.float32
    generator = torch.Generator().manual_seed(0)
    patch = source.patch_size
    images = torch.randn(1, 3, grid[0] * patch, grid[1] * patch, generator=generator, dtype=dtype)
    tensors = {name: value.to(dtype) for name, value in plain.tensors.items()}
    stem = 'patch_embed.projection.'
    tokens = F.conv2d(images, tensors.pop(f'{stem}weight'), tensors.pop(f'{stem}bias'),
                      stride=patch, padding=source.format.padding)
    # LayerScale is folded here, and kept in the source.
    arch = source.arch._replace(layer_scale=False)
    ours = ShortcutViT(arch.as_config(), (PATCH_SIZE * grid[0], PATCH_SIZE * grid[1]),
                       stem=dict(type='PatchEmbedding'), shortcut='none').to(dtype).eval()
    ours.patch_embed = _Stem(tokens)
    ours.load_state_dict(tensors)
    blank = images.new_zeros(1, 3, PATCH_SIZE * grid[0], PATCH_SIZE * grid[1])
    found = ours(blank).feature_map.flatten(2).transpose(1, 2)
    name, expected = SOURCES[package](source, grid, images)
    version = getattr(module, '__version__', '') or importlib.metadata.version(package)
    difference = float((found - expected).abs().max() / expected.abs().max())
    return Proof(difference, f"{package} {version}'s {name}", dtype)


def _inner(source: Source) -> dict[str, Tensor]:
    """The encoder's tensors without the prefix."""
    return {key[len(source.prefix):]: value.float() if value.is_floating_point() else value
            for key, value in source.weights.items() if key.startswith(source.prefix)}


def _load(model: nn.Module, weights: dict[str, Tensor]) -> None:
    missing = model.load_state_dict(weights, strict=False).missing_keys
    if missing:
        raise NoProof(f'{type(model).__name__} has other parts, such as {missing[0]}')


def _timm(source: Source, grid: tuple[int, int], images: Tensor) -> tuple[str, Tensor]:
    """timm's VisionTransformer, of whose code official MAE, DeiT, DINO and others are made."""
    from timm.models import eva, vision_transformer
    arch, weights, patch = source.arch, _inner(source), source.patch_size
    options: dict[str, Any] = dict(
        img_size=tuple(size * patch for size in grid), patch_size=patch,
        embed_dim=arch.embed_dims, depth=arch.num_layers, num_heads=arch.num_heads,
        mlp_ratio=arch.feedforward_channels / arch.embed_dims, num_classes=0)
    if any(key.startswith('dist_token') for key in weights):
        raise NoProof("timm's class of distilled models is another one")
    registers = sum(weights[key].shape[-2] for key in REGISTERS if key in weights)
    if arch.rope:
        module, model = eva, eva.Eva(
            **options, qkv_bias=any(key.endswith('q_bias') or key.endswith('qkv.bias')
                                    for key in weights),
            init_values=1., rope_type='dinov3', rope_temperature=arch.rope, rope_rotate_half=True,
            use_rot_pos_emb=True, use_abs_pos_emb=False, num_reg_tokens=registers,
            use_fc_norm=False, global_pool='', norm_layer=functools.partial(nn.LayerNorm, eps=1e-5))
    else:
        rows = weights['pos_embed'].shape[1] - grid[0] * grid[1]
        if arch.pre_norm:
            options['norm_layer'] = functools.partial(nn.LayerNorm, eps=1e-5)
        module, model = vision_transformer, vision_transformer.VisionTransformer(
            **options, global_pool='', class_token='cls_token' in weights, reg_tokens=registers,
            no_embed_class=rows == 0 or 'register_tokens' in weights, pre_norm=arch.pre_norm,
            init_values=1. if arch.layer_scale else None, act_layer=arch.activation)
    gammas = {'gamma_1': 'ls1.gamma', 'gamma_2': 'ls2.gamma'}
    if 'storage_tokens' in weights or 'register_tokens' in weights:
        weights = module.checkpoint_filter_fn(weights, model)
    elif not arch.rope:  # official DeiT-III
        weights = {_replaced(key, gammas): value for key, value in weights.items()}
    _load(model, weights)
    model.to(images.dtype).eval()
    if arch.rope:
        x, rope = model._pos_embed(model.patch_embed(images))
        x = x[:, model.num_prefix_tokens:]
        for block in model.blocks:
            block.attn.num_prefix_tokens = 0  # they are gone
            x = block(x, rope=rope.to(x.dtype))
    else:
        x = model.norm_pre(model._pos_embed(model.patch_embed(images)))
        x = model.blocks(x[:, model.num_prefix_tokens:])
    return type(model).__name__, model.norm(x)


def _replaced(key: str, endings: dict[str, str]) -> str:
    start, _, end = key.rpartition('.')
    return f'{start}.{endings[end]}' if end in endings else key


def _transformers(source: Source, grid: tuple[int, int], images: Tensor) -> tuple[str, Tensor]:
    """The class of transformers that the format is named after."""
    import transformers
    arch, weights, patch = source.arch, _inner(source), source.patch_size
    config: dict[str, Any] = dict(
        image_size=tuple(size * patch for size in grid), patch_size=patch,
        hidden_size=arch.embed_dims, num_hidden_layers=arch.num_layers,
        num_attention_heads=arch.num_heads)
    if source.facts.eps is not None:
        config['layer_norm_eps'] = source.facts.eps
    if source.facts.activation is not None:
        config['hidden_act'] = {'gelu_tanh': 'gelu_pytorch_tanh'}.get(arch.activation,
                                                                      arch.activation)
    ratio, rest = divmod(arch.feedforward_channels, arch.embed_dims)
    registers = sum(weights[key].shape[-2] for key in REGISTERS if key in weights)
    if source.format.name in ('Hugging Face VitPose', 'Hugging Face Dinov2') and rest:
        raise NoProof('the feed-forward width is no multiple of the token width')
    if source.format.name == 'Hugging Face VitPose':
        kind = transformers.VitPoseBackbone
        experts = weights.get('encoder.layer.0.mlp.experts.0.weight')
        config.update(mlp_ratio=ratio, patch_size=(patch, patch))
        if experts is not None:
            config.update(num_experts=6, part_features=len(experts))
    elif source.format.name == 'Hugging Face Dinov2':
        kind = transformers.Dinov2Model
        config['mlp_ratio'] = ratio
        if registers:
            kind = transformers.Dinov2WithRegistersModel
            config['num_register_tokens'] = registers
    elif source.format.name == 'Hugging Face DINOv3':
        kind = transformers.DINOv3ViTModel
        config.update(intermediate_size=arch.feedforward_channels, num_register_tokens=registers,
                      image_size=PATCH_SIZE * grid[0])
    else:
        kind = (transformers.DeiTModel if 'embeddings.distillation_token' in weights else
                transformers.IJepaModel if 'embeddings.cls_token' not in weights else
                transformers.ViTModel)
        config['intermediate_size'] = arch.feedforward_channels
    model = _from_pretrained(transformers, kind, kind.config_class(**config), weights)
    model.to(images.dtype).eval()
    if source.format.name == 'Hugging Face VitPose':
        options = {}
        if source.expert:
            options['dataset_index'] = torch.tensor([EXPERTS.index(source.expert)])
        x = model(images, **options).feature_maps[-1]
        return kind.__name__, x.flatten(2).transpose(1, 2) if x.ndim == 4 else x
    if grid[0] == grid[1] or arch.rope:
        x = model.embeddings(images)[:, -grid[0] * grid[1]:]
    else:  # Dinov2's own code takes every position embedding for a square
        x = model.embeddings.patch_embeddings(images)
        x = x + model.embeddings.position_embeddings[:, -x.shape[1]:]
    options = {}
    if arch.rope:
        options['position_embeddings'] = model.rope_embeddings(images)
        layers, norm = model.model.layer, model.norm
    else:
        layers = getattr(model, 'layers', None) or model.encoder.layer
        norm = model.layernorm
    for layer in layers:
        x = layer(x, **options)
        x = x[0] if isinstance(x, tuple) else x
    return kind.__name__, norm(x)


def _from_pretrained(transformers: Any, kind: Any, config: Any,
                     weights: dict[str, Tensor]) -> nn.Module:
    """Through the loader of transformers, which knows the names of its files."""
    words = transformers.utils.logging
    verbosity = words.get_verbosity()
    words.set_verbosity_error()
    words.disable_progress_bar()
    try:
        model, report = kind.from_pretrained(
            None, config=config, state_dict={key: value.contiguous()
                                             for key, value in weights.items()},
            output_loading_info=True)
    finally:
        words.set_verbosity(verbosity)
        words.enable_progress_bar()
    missing = [key for key in report['missing_keys'] if not key.startswith('pooler')]
    if missing or report['mismatched_keys']:
        raise NoProof(f'{kind.__name__} has other parts, such as '
                      f'{[*missing, *report["mismatched_keys"]][0]}')
    return model


def _mmpretrain(source: Source, grid: tuple[int, int], images: Tensor) -> tuple[str, Tensor]:
    """mmpretrain's VisionTransformer, which is MMPose's, too."""
    from mmpretrain.models import VisionTransformer
    arch, weights = source.arch, _inner(source)
    if arch.activation != 'gelu' or arch.layer_scale:
        raise NoProof(f'mmpretrain has no {"LayerScale" if arch.layer_scale else arch.activation} '
                      'of this kind')
    widths = {name: getattr(arch, name) for name in (
        'embed_dims', 'num_layers', 'num_heads', 'feedforward_channels')}
    model = VisionTransformer(
        arch=widths, img_size=tuple(size * source.patch_size for size in grid),
        patch_size=source.patch_size, with_cls_token='cls_token' in weights,
        out_type='featmap', patch_cfg=dict(padding=source.format.padding),
        norm_cfg=dict(type='LN', eps=arch.eps), pre_norm=arch.pre_norm)
    _load(model, weights)
    model.to(images.dtype).eval()
    x = model.patch_embed(images)[0]
    x = model.pre_norm(x + model.pos_embed[:, -x.shape[1]:])
    for layer in model.layers:
        x = layer(x)
    return 'VisionTransformer', model.ln1(x)


SOURCES: dict[str, Callable[[Source, tuple[int, int], Tensor], tuple[str, Tensor]]] = dict(
    timm=_timm, transformers=_transformers, mmpretrain=_mmpretrain)
