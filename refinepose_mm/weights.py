"""Pretrained encoders from the files that people have: `EncoderWeights` and `refinepose weights`.

A format is a table of names. Every key of a file ends as loaded, as deliberately left out, or in
an error that lists it; nothing is dropped in silence.
"""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.logging import print_log
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import Tensor

from .checkpoints import read_checkpoint
from .models.shortcut_vit import ARCHS, ShortcutViT, resize_pos_embed

TIMM_NAMES = {  # ours are mmpretrain's
    r'^blocks\.': 'layers.',
    r'\.norm(\d)\.': r'.ln\1.',
    r'\.mlp\.fc1\.': '.ffn.layers.0.0.',
    r'\.mlp\.fc2\.': '.ffn.layers.1.',
    r'^(last_)?norm\.': 'ln1.',
    r'^patch_embed\.proj\.': 'patch_embed.projection.',
}
POS_EMBED = 'pos_embed'
STEM = 'patch_embed.'
FRESH = ('gates', )  # ours alone: no other format has them


class Format(NamedTuple):
    """A kind of checkpoint, recognised by one of its keys.

    Attributes:
        name: What the report calls it.
        marker: The key that tells it from the formats after it.
        prefix: What the encoder's keys begin with; keys without it belong to other modules.
        names: Patterns in the encoder's keys and what they become.
        others: Beginnings of keys that are left out: they belong to what RefinePose lacks.
        fold_class_row: Add the first row of the position embedding to all others instead of
            dropping it, as the source's own forward pass does.
    """

    name: str
    marker: str
    prefix: str
    names: dict[str, str]
    others: tuple[str, ...]
    fold_class_row: bool = False


POSE_HEADS = ('head.', 'keypoint_head.', 'associate_keypoint_heads.')
FORMATS = (
    Format('RefinePose', 'backbone.patch_embed.conv7x7.weight', 'backbone.', {}, ('head.', )),
    Format('MMPose ViTPose', 'backbone.layers.0.ln1.weight', 'backbone.', {},
           (*POSE_HEADS, 'neck.', 'backbone.cls_token')),
    Format('MMPose MAE', 'layers.0.ln1.weight', '', {}, ('cls_token', *POSE_HEADS)),
    Format('official ViTPose', 'backbone.blocks.0.norm1.weight', 'backbone.', TIMM_NAMES,
           (*POSE_HEADS, 'backbone.cls_token'), fold_class_row=True),
    Format('official MAE or timm ViT', 'blocks.0.norm1.weight', '', TIMM_NAMES,
           ('cls_token', 'mask_token', 'decoder_', 'head.')),
)


class Report(NamedTuple):
    """What became of every key.

    Attributes:
        format: Name of the recognised format.
        loaded: Names of the parameters that were loaded, as the backbone calls them.
        left_out: Keys of the file that RefinePose has no use for.
        fresh: Parameters of the backbone that keep their initialisation.
        pos_embed: What was done to the position embedding, '' if nothing.
    """

    format: str
    loaded: list[str]
    left_out: list[str]
    fresh: list[str]
    pos_embed: str

    def __str__(self) -> str:
        lines = [f'recognised as {self.format}', f'  loaded       {len(self.loaded)} tensors']
        if self.pos_embed:
            lines.append(f'  pos_embed    {self.pos_embed}')
        for title, keys in (('left out', self.left_out), ('initialised', self.fresh)):
            if keys:
                lines.append(f'  {title:<12} {len(keys)} tensors: {_summary(keys)}')
        return '\n'.join(lines)


@WEIGHT_INITIALIZERS.register_module()
class EncoderWeights:
    """Weight initializer that loads a pretrained encoder into a :class:`ShortcutViT`.

    Reads official MAE, MMPose's MAE and ViTPose, official ViTPose, timm ViT (all .pth or
    .safetensors) and RefinePose checkpoints.

    Args:
        checkpoint: Path or URL.

    Raises:
        OSError: If the file cannot be had.
        ValueError: If it is no checkpoint, is of no known format, or does not fit the backbone.
    """

    def __init__(self, checkpoint: str):
        self.checkpoint = checkpoint

    def __call__(self, backbone: ShortcutViT) -> None:
        """Load the encoder, and log once what became of every key."""
        report = load_encoder(backbone, read_checkpoint(self.checkpoint), self.checkpoint)
        print_log(f'{self.checkpoint}: {report}', logger='current')


def load_encoder(backbone: ShortcutViT, weights: dict[str, Tensor], source: str) -> Report:
    """Load the encoder from a checkpoint of any known format.

    Args:
        backbone: What to load into.
        weights: The checkpoint's tensors by name.
        source: How error messages call the checkpoint.

    Raises:
        ValueError: See :class:`EncoderWeights`; the backbone is unchanged then.
    """
    found = recognise(weights, source)
    left_out = [key for key in weights if key.startswith(found.others)]
    has_class_token = f'{found.prefix}cls_token' in weights
    source_keys = {_rename(key, found): key for key in weights if key not in left_out}
    renamed = {name: weights[key] for name, key in source_keys.items()}

    target = backbone.state_dict()
    note = ''
    if POS_EMBED in renamed:
        renamed[POS_EMBED], note = _fit_pos_embed(
            renamed[POS_EMBED], backbone, found.fold_class_row, has_class_token, source)
    # A stem of another kind than ours is replaced as a whole; one of our kind must fit.
    kinds = [{key.split('.')[1] == 'projection' for key in keys if key.startswith(STEM)}
             for keys in (renamed, target)]
    if kinds[0] != kinds[1]:
        stem = [name for name in renamed if name.startswith(STEM)]
        left_out += [source_keys[name] for name in stem]
        for name in stem:
            del renamed[name]
        may_be_fresh = (*FRESH, STEM)
    else:
        may_be_fresh = FRESH
    fresh = [key for key in target if key not in renamed and key.startswith(may_be_fresh)]

    problems = []
    missing = [key for key in target if key not in renamed and key not in fresh]
    if missing:
        problems.append(f'missing: {_summary(missing)}')
    unknown = [key for key in renamed if key not in target]
    if unknown:
        problems.append(f'unknown: {_summary(unknown)}')
    problems += [
        f'{key}: expected {tuple(target[key].shape)}, got {tuple(value.shape)}'
        for key, value in renamed.items() if key in target and value.shape != target[key].shape]
    if problems:
        raise ValueError(f'{source} ({found.name}) does not fit this backbone '
                         f'(embed_dims {backbone.embed_dims}, {len(backbone.layers)} blocks): '
                         + '; '.join(problems[:8]) + ('; ...' if problems[8:] else ''))
    backbone.load_state_dict(renamed, strict=False)
    return Report(found.name, sorted(renamed), left_out, fresh, note)


def recognise(weights: dict[str, Tensor], source: str) -> Format:
    """The format of a checkpoint, by its keys.

    Raises:
        ValueError: If no known format has such keys.
    """
    for candidate in FORMATS:
        if candidate.marker in weights:
            return candidate
    raise ValueError(f'{source} is none of the known formats '
                     f'({", ".join(f.name for f in FORMATS)}); its keys are {_summary(weights)}')


def _rename(key: str, found: Format) -> str:
    """The backbone's name for a key; keys of other modules keep theirs and count as unknown."""
    if not key.startswith(found.prefix):
        return key
    key = key[len(found.prefix):]
    for pattern, replacement in found.names.items():
        key = re.sub(pattern, replacement, key)
    return key


def _fit_pos_embed(pos_embed: Tensor, backbone: ShortcutViT, fold: bool, has_class_token: bool,
                   source: str) -> tuple[Tensor, str]:
    """Take the class token's row out of a position embedding and bring it to our token grid."""
    notes = []
    rows = pos_embed.shape[1] if pos_embed.ndim == 3 else 0
    # Some models have a class token without a row, so that both counts have to be tried.
    for class_rows in ((1, 0) if has_class_token or fold else (0, )):
        grid = _token_grid(rows - class_rows, backbone.grid)
        if grid:
            break
    else:
        raise ValueError(f'{source}: the {rows} rows of the position embedding '
                         f'{tuple(pos_embed.shape)} are no square nor a 4:3 grid of tokens')
    if class_rows:
        row, pos_embed = pos_embed[:, :1], pos_embed[:, 1:]
        if fold:
            pos_embed = pos_embed + row
        notes.append(f'class row {"folded in" if fold else "dropped"}')
    if grid != backbone.grid:
        pos_embed = resize_pos_embed(pos_embed, grid, backbone.grid)
        notes.append('{}x{} -> {}x{}'.format(*grid, *backbone.grid))
    return pos_embed, ', '.join(notes)


def _token_grid(tokens: int, ours: tuple[int, int]) -> tuple[int, int] | None:
    """Height and width of a token grid: ours, a square (MAE, timm) or 4:3 (people)."""
    if tokens < 1:
        return None
    if tokens == ours[0] * ours[1]:
        return ours
    side = math.isqrt(tokens)
    if side**2 == tokens:
        return side, side
    unit = math.isqrt(tokens // 12)
    return (4 * unit, 3 * unit) if 12 * unit**2 == tokens else None


def _summary(keys) -> str:
    """Keys with numbers as stars, each pattern once: `layers.*.ln1.weight (12)`."""
    counts: dict[str, int] = {}
    for key in keys:
        pattern = re.sub(r'\.\d+(?=\.|$)', '.*', key)
        counts[pattern] = counts.get(pattern, 0) + 1
    names = [name if count == 1 else f'{name} ({count})' for name, count in counts.items()]
    return ', '.join(names[:8]) + (f' and {len(names) - 8} more' if names[8:] else '')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose weights`."""
    parser.add_argument('checkpoint', help='path or URL of a .pth or .safetensors file')
    parser.add_argument('--arch', default='base', choices=ARCHS, help='default: %(default)s')
    parser.add_argument('--img-size', nargs=2, type=int, default=(256, 192), metavar=('H', 'W'),
                        help='input size in pixels, multiples of 16; default: 256 192')
    parser.add_argument('--plain', action='store_true',
                        help='load into a plain ViT (PatchEmbedding, no shortcuts)')
    parser.add_argument('--output', help='write a checkpoint with the names of RefinePose')


def run(args: argparse.Namespace) -> int:
    """Report what became of every key and write the encoder, if asked to."""
    weights = read_checkpoint(args.checkpoint)
    plain = dict(stem=dict(type='PatchEmbedding'), shortcut='none') if args.plain else {}
    backbone = ShortcutViT(args.arch, tuple(args.img_size), **plain)
    report = load_encoder(backbone, weights, args.checkpoint)
    print(f'{args.checkpoint}: {report}')
    if args.output:
        # Only what was loaded: a fresh stem is for the training run to initialise.
        if not Path(args.output).parent.is_dir():
            raise FileNotFoundError(f'folder {Path(args.output).parent} of --output not found')
        encoder = backbone.state_dict()
        torch.save({f'backbone.{name}': encoder[name] for name in report.loaded}, args.output)
        print(f'wrote {args.output}')
    return 0
