"""Load a pretrained encoder and say what became of every key."""

from __future__ import annotations

import re
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
from .formats import OURS, summary
from .heads import Heads
from .source import Source, describe

STEM = 'patch_embed.'
# What starts as the identity where the file does not have it: gates at 0, LayerScales at 1.
FRESH = re.compile(r'gates|layers\.\d+\.ls[12]')
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
        conditions: What the file does not show, under which it is the same.
    """

    format: str
    heads: Heads
    loaded: dict[str, list[str]]
    left_out: list[str]
    fresh: list[str]
    notes: list[str]
    differences: list[str]
    conditions: list[str]

    def __str__(self) -> str:
        lines = [f'recognised as {self.format}', f'  heads        {self.heads.number}, '
                 f'{self.heads.origin}', f'  loaded       {len(self.loaded)} tensors from '
                 f'{sum(map(len, self.loaded.values()))} of the file']
        lines += [f'  note         {note}' for note in self.notes]
        for title, keys in (('left out', self.left_out), ('initialised', self.fresh)):
            if keys:
                lines.append(f'  {title:<12} {len(keys)} tensors: {summary(keys)}')
        return '\n'.join([*lines, f'  {self.verdict()}'])

    def verdict(self, proof: str = '') -> str:
        """Whether the backbone is the same function as the source, and why not.

        Args:
            proof: What was measured, in words.
        """
        if self.differences:
            answer = f'no, because {"; ".join(self.differences)}'
        elif self.conditions:
            answer = f'yes, if {" and ".join(self.conditions)}'
        else:
            answer = 'yes'
        return f'the same function as the source: {answer}' + (f' ({proof})' if proof else '')


@WEIGHT_INITIALIZERS.register_module()
class EncoderWeights:
    """Weight initializer that loads a pretrained encoder into a :class:`ShortcutViT`.

    Args:
        checkpoint: Path or URL of a .pth or .safetensors file, a folder of Hugging Face, or
            ``hf://owner/name``. The formats stand in
            :data:`~refinepose_mm.weights.formats.FORMATS`.
        num_heads: Number of attention heads of the checkpoint; needed where neither the file nor
            its format shows it, and an error where they show another one.
        expert: Which data set's expert of a ViTPose++ to take: 'coco', 'aic', 'mpii', 'ap10k',
            'apt36k' or 'wholebody'.
        source_format: Name of the file's format, for keys that several have.
        first_blocks: Take the first blocks of an encoder that has more than the backbone; its
            last LayerNorm, too.

    LayerScales are folded into the layers before them, or kept, if the backbone's arch has them.

    Raises:
        OSError: If the file cannot be had.
        ValueError: If it is no checkpoint, is of no known format, or does not fit the backbone.
    """

    def __init__(self, checkpoint: str, num_heads: int | None = None, expert: str | None = None,
                 source_format: str | None = None, first_blocks: bool = False):
        self.checkpoint = checkpoint
        self.num_heads = num_heads
        self.expert = expert
        self.source_format = source_format
        self.first_blocks = first_blocks

    def __call__(self, backbone: ShortcutViT) -> None:
        """Load the encoder, and log once what became of every key."""
        weights, meta = open_checkpoint(self.checkpoint)
        report = load_encoder(backbone, weights, self.checkpoint, meta=meta,
                              num_heads=self.num_heads, expert=self.expert,
                              source_format=self.source_format, first_blocks=self.first_blocks)
        print_log(f'{self.checkpoint}: {report}', logger='current')


def load_encoder(backbone: ShortcutViT, weights: dict[str, Tensor], source: str | Path, *,
                 meta: dict[str, Any] = {}, num_heads: int | None = None,
                 expert: str | None = None, source_format: str | None = None,
                 first_blocks: bool = False) -> Report:
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
        source_format: See :class:`EncoderWeights`.
        first_blocks: See :class:`EncoderWeights`.

    Raises:
        ValueError: See :class:`EncoderWeights`; the backbone is unchanged then.
    """
    return load_source(backbone, describe(weights, str(source), meta=meta, num_heads=num_heads,
                                          expert=expert, source_format=source_format),
                       first_blocks)


def load_source(backbone: ShortcutViT, source: Source, first_blocks: bool = False) -> Report:
    """Load the encoder of a checkpoint that :func:`~.source.describe` has recognised.

    Args:
        backbone: What to load into.
        source: The recognised checkpoint.
        first_blocks: See :class:`EncoderWeights`.

    Raises:
        ValueError: As for :func:`load_encoder`.
    """
    encoder = convert(source.weights, source.format, source.prefix, backbone.grid, source.expert,
                      source.name, backbone.arch.layer_scale)
    target = backbone.state_dict()
    stem_is_new = _drop_another_stem(encoder, target)
    if first_blocks:
        _drop_further_blocks(encoder, len(backbone.layers))
    fresh = [name for name in target if name not in encoder.tensors
             and (FRESH.fullmatch(name) or stem_is_new and name.startswith(STEM))]
    called = f'{source.name} ({source.format.name})'
    _require_fit(backbone, encoder, fresh, called)
    for field, what in (('num_heads', f'attention heads ({source.heads.origin})'),
                        ('rope', 'as the base of rotary attention')):
        theirs, ours = getattr(source.arch, field), getattr(backbone.arch, field)
        if theirs != ours:
            raise ValueError(
                f'{called} has {theirs} {what}, the backbone {ours}: the same weights would be '
                f'another function. Give the backbone an arch with {field}={theirs}'
                + (f', or --num-heads {theirs}' if field == 'num_heads' else ''))
    require_finite(encoder.tensors, source.name)
    differences = _differences(backbone, source, encoder, stem_is_new)
    backbone.load_state_dict(encoder.tensors, strict=False)
    loaded = {name: encoder.keys[name] for name in sorted(encoder.tensors)}
    return Report(source.format.name, source.heads, loaded, encoder.left_out, fresh,
                  encoder.notes, differences, _conditions(backbone, source))


def _drop_another_stem(encoder: Encoder, target: dict[str, Tensor]) -> bool:
    """Leave out the stem if it is of another type than the backbone's; whether it was.

    CLIP's LayerNorm before the blocks goes with its stem, unless the backbone has one.
    """
    types = [{name.split('.')[1] == 'projection' for name in names if name.startswith(STEM)}
             for names in (encoder.tensors, target)]
    if types[0] == types[1]:
        return False
    for name in list(encoder.tensors):
        if name.startswith(STEM) or name.startswith('pre_norm.') and name not in target:
            encoder.drop(name)
    return True


def _drop_further_blocks(encoder: Encoder, kept: int) -> None:
    """Leave out the blocks that the backbone does not have."""
    found = encoder.num_layers
    for name in list(encoder.tensors):
        if name.startswith('layers.') and int(name.split('.')[1]) >= kept:
            encoder.drop(name)
    if found > kept:
        encoder.notes.append(f'blocks: {found} -> {kept}, the first ones')


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


def _differences(backbone: ShortcutViT, source: Source, encoder: Encoder,
                 stem_is_new: bool) -> list[str]:
    """Why the backbone is another function than the source's encoder, as far as it is known."""
    differences = []
    if stem_is_new:
        differences.append('the stem is new')
    elif isinstance(backbone.patch_embed, PatchEmbedding):
        padding = backbone.patch_embed.projection.padding[0]
        if padding != source.format.padding:
            differences.append(f'the patch embedding pads by {padding} pixels, the source by '
                               f'{source.format.padding}')
    theirs = source.shortcut or ('none' if source.format.name != OURS else backbone.shortcut)
    if backbone.shortcut != theirs and not (backbone.shortcut, theirs) == ('gated', 'none'):
        differences.append(
            "the source has no shortcuts around groups of blocks; 'gated' ones start without "
            'effect' if theirs == 'none' else f"the source's shortcuts are {theirs!r}")
    left = [key for key in encoder.left_out if key.endswith((*CLASS_TOKENS, *REGISTERS))]
    if left:
        differences.append(f'tokens that take no part: {", ".join(left)}')
    differences += [note for note in encoder.notes if '->' in note]
    if source.arch.eps != backbone.arch.eps:
        differences.append(f'LayerNorm eps is {backbone.arch.eps:g}, the source has '
                           f'{source.arch.eps:g}: arch eps={source.arch.eps:g}')
    known = (source.facts.activation, ) if source.facts.activation else source.format.activations
    if backbone.arch.activation not in known:
        differences.append(f'the activation is {backbone.arch.activation}, the source has '
                           f'{" or ".join(known)}: arch activation={known[0]!r}')
    periods = [value for key, value in source.weights.items() if key.endswith('rope_embed.periods')]
    if periods and source.arch.rope:
        differences += _other_periods(periods[0], source)
    return differences


def _other_periods(periods: Tensor, source: Source) -> list[str]:
    """Official DINOv3 keeps its periods, rounded to bfloat16; ours are exact."""
    steps = torch.arange(len(periods), dtype=torch.float32) / len(periods)
    ratio = (periods.float() / source.arch.rope**steps - 1).abs().max()
    if not ratio < 1 / 128:
        raise ValueError(f"{source.name} ({source.format.name}) has other rotary periods than "
                         f'those of base {source.arch.rope:g}')
    return [f'the rotary periods are exact, the file has them rounded, by {ratio:.1%} at most'
            ] if ratio > 1e-6 else []


def _conditions(backbone: ShortcutViT, source: Source) -> list[str]:
    """What the file does not show."""
    conditions = []
    if source.format.name == OURS and source.shortcut is None:
        conditions.append(f'its shortcuts are {backbone.shortcut!r}')
    if source.open_activation:
        conditions.append(f'it was trained with {backbone.arch.activation}, of '
                          f'{" or ".join(source.format.activations)}')
    return conditions
