"""Load a pretrained encoder and say what became of every key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.logging import print_log
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import Tensor

from ..checkpoints import open_checkpoint, require_finite
from ..models.patch_embedding import PatchEmbedding
from ..models.shortcut_vit import ShortcutViT
from .conversion import CLASS_TOKENS, REGISTERS, Encoder, convert
from .formats import OURS, Format, recognise, summary, unwrap
from .heads import Heads, find_heads

STEM = 'patch_embed.'
FRESH = ('gates', )  # ours alone: no other format has them
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class Report(NamedTuple):
    """What became of every key.

    Attributes:
        format: Name of the recognised format.
        heads: Number of attention heads, and who says so.
        loaded: Name of each parameter that was loaded, as the backbone calls it -> the keys of
            the file that it was made of.
        left_out: Keys of the file that RefinePose has no use for.
        fresh: Parameters of the backbone that keep their initialisation.
        notes: What was done to the tensors.
        differences: Why the backbone is another function than the source's encoder, as far as
            it is known; empty if it is the same.
    """

    format: str
    heads: Heads
    loaded: dict[str, list[str]]
    left_out: list[str]
    fresh: list[str]
    notes: list[str]
    differences: list[str]

    def __str__(self) -> str:
        lines = [f'recognised as {self.format}', f'  heads        {self.heads.number}, '
                 f'{self.heads.origin}', f'  loaded       {len(self.loaded)} tensors from '
                 f'{sum(map(len, self.loaded.values()))} of the file']
        lines += [f'  note         {note}' for note in self.notes]
        for title, keys in (('left out', self.left_out), ('initialised', self.fresh)):
            if keys:
                lines.append(f'  {title:<12} {len(keys)} tensors: {summary(keys)}')
        lines += [f'  differs      {difference}' for difference in self.differences]
        if not self.differences:
            condition = ('its shortcuts are the same' if self.format == OURS else
                         'it is a plain ViT with GELU')
            lines.append(f'  the same function as the source, if {condition}')
        return '\n'.join(lines)


@WEIGHT_INITIALIZERS.register_module()
class EncoderWeights:
    """Weight initializer that loads a pretrained encoder into a :class:`ShortcutViT`.

    Args:
        checkpoint: Path or URL of a .pth or .safetensors file, or a folder of Hugging Face. The
            formats stand in :data:`~refinepose_mm.weights.formats.FORMATS`.
        num_heads: Number of attention heads of the checkpoint; needed where neither the file nor
            its format shows it, and an error where they show another one.
        expert: Which data set's expert of a ViTPose++ to take: 'coco', 'aic', 'mpii', 'ap10k',
            'apt36k' or 'wholebody'.

    Raises:
        OSError: If the file cannot be had.
        ValueError: If it is no checkpoint, is of no known format, or does not fit the backbone.
    """

    def __init__(self, checkpoint: str, num_heads: int | None = None, expert: str | None = None):
        self.checkpoint = checkpoint
        self.num_heads = num_heads
        self.expert = expert

    def __call__(self, backbone: ShortcutViT) -> None:
        """Load the encoder, and log once what became of every key."""
        weights, meta = open_checkpoint(self.checkpoint)
        report = load_encoder(backbone, weights, self.checkpoint, meta=meta,
                              num_heads=self.num_heads, expert=self.expert)
        print_log(f'{self.checkpoint}: {report}', logger='current')


def load_encoder(backbone: ShortcutViT, weights: dict[str, Tensor], source: str | Path, *,
                 meta: dict[str, Any] = {}, num_heads: int | None = None,
                 expert: str | None = None) -> Report:
    """Load the encoder from a checkpoint of any known format.

    If the stem types differ, the checkpoint's stem is ignored; if they are equal, every key must
    match.

    Args:
        backbone: What to load into.
        weights: The checkpoint's tensors by name.
        source: How error messages call the checkpoint.
        meta: What :func:`~refinepose_mm.checkpoints.open_checkpoint` found beside the weights.
        num_heads: See :class:`EncoderWeights`.
        expert: See :class:`EncoderWeights`.

    Raises:
        ValueError: See :class:`EncoderWeights`; the backbone is unchanged then.
    """
    source = str(source)
    weights = unwrap(weights)
    found, prefix = recognise(weights, source)
    encoder = convert(weights, found, prefix, backbone.grid, expert, source)
    target = backbone.state_dict()
    stem_is_new = _drop_another_stem(encoder, target)
    may_be_fresh = (*FRESH, STEM) if stem_is_new else FRESH
    fresh = [name for name in target
             if name not in encoder.tensors and name.startswith(may_be_fresh)]
    _require_fit(backbone, encoder, fresh, f'{source} ({found.name})')
    heads = find_heads(found, (backbone.embed_dims, encoder.num_layers), meta, num_heads, source)
    ours = backbone.layers[0].attn.num_heads
    if heads.number != ours:
        raise ValueError(
            f'{source} ({found.name}) has {heads.number} attention heads ({heads.origin}), the '
            f'backbone {ours}: the same weights would be another function. Give the backbone an '
            f'arch with num_heads={heads.number}, or --num-heads {heads.number}')
    require_finite(encoder.tensors, source)
    differences = _differences(backbone, found, encoder, stem_is_new)
    backbone.load_state_dict(encoder.tensors, strict=False)
    loaded = {name: encoder.keys[name] for name in sorted(encoder.tensors)}
    return Report(found.name, heads, loaded, encoder.left_out, fresh, encoder.notes, differences)


def _drop_another_stem(encoder: Encoder, target: dict[str, Tensor]) -> bool:
    """Leave out the stem if it is of another type than the backbone's; whether it was."""
    types = [{name.split('.')[1] == 'projection' for name in names if name.startswith(STEM)}
             for names in (encoder.tensors, target)]
    if types[0] == types[1]:
        return False
    for name in [name for name in encoder.tensors if name.startswith(STEM)]:
        encoder.drop(name)
    return True


def _require_fit(backbone: ShortcutViT, encoder: Encoder, fresh: list[str], source: str) -> None:
    """Check that every tensor has its place and every place its tensor."""
    target = backbone.state_dict()
    problems = []
    missing = [name for name in target if name not in encoder.tensors and name not in fresh]
    if missing:
        problems.append(f'missing: {summary(missing)}')
    unknown = [name for name in encoder.tensors if name not in target]
    if unknown:
        problems.append(f'unknown: {summary(unknown)}')
    for name, value in encoder.tensors.items():
        if name in target and value.shape != target[name].shape:
            problems.append(f'{name}: expected {tuple(target[name].shape)}, '
                            f'got {tuple(value.shape)}')
        elif name in target and value.dtype != target[name].dtype and value.dtype not in FLOATS:
            problems.append(f'{name}: expected {target[name].dtype}, got {value.dtype}')
    if problems:
        raise ValueError(f'{source} does not fit this backbone '
                         f'(embed_dims {backbone.embed_dims}, {len(backbone.layers)} blocks): '
                         + '; '.join(problems[:8]) + ('; ...' if problems[8:] else ''))


def _differences(backbone: ShortcutViT, found: Format, encoder: Encoder,
                 stem_is_new: bool) -> list[str]:
    """Why the backbone is another function than the source's encoder, as far as it is known."""
    differences = []
    if stem_is_new:
        differences.append('the stem is new')
    elif isinstance(backbone.patch_embed, PatchEmbedding):
        padding = backbone.patch_embed.projection.padding[0]
        if padding != found.padding:
            differences.append(f'the patch embedding pads by {padding} pixels, the source by '
                               f'{found.padding}')
    if backbone.shortcut == 'identity' and found.name != OURS:
        differences.append("the source has no shortcuts around groups of blocks; 'gated' ones "
                           'start without effect')
    left = [key for key in encoder.left_out if key.endswith((*CLASS_TOKENS, *REGISTERS))]
    if left:
        differences.append(f'tokens that take no part: {", ".join(left)}')
    differences += [note for note in encoder.notes if '->' in note]
    if found.eps != backbone.ln1.eps:
        differences.append(f'LayerNorm eps is {backbone.ln1.eps:g}, '
                           f"the source's default is {found.eps:g}")
    if found.activation:
        differences.append(f'the activation is GELU, the source has {found.activation}')
    return differences
