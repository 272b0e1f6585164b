"""From the tensors of a format to the tensors of our encoder: names, then rules."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..models.shortcut_vit import resize_pos_embed
from .formats import Format, require_plain

POS_EMBED = 'pos_embed'
# Data sets of ViTPose++, in the order of its experts.
EXPERTS = ('coco', 'aic', 'mpii', 'ap10k', 'apt36k', 'wholebody')
CLASS_TOKENS = ('cls_token', 'dist_token', 'embeddings.cls_token', 'embeddings.distillation_token')
REGISTERS = ('reg_token', 'register_tokens', 'embeddings.register_tokens', 'storage_tokens')


@dataclass
class Encoder:
    """An encoder in our names.

    Attributes:
        tensors: Name -> tensor.
        keys: Name -> the keys of the file that it was made of.
        left_out: Keys of the file that RefinePose has no use for.
        notes: What was done to the tensors.
        grid: Height and width of the source's token grid, where the file shows it.
    """

    tensors: dict[str, Tensor]
    keys: dict[str, list[str]]
    left_out: list[str]
    notes: list[str] = field(default_factory=list)
    grid: tuple[int, int] | None = None

    def join(self, name: str, parts: list[str]) -> None:
        """Put tensors into one along the first dimension."""
        self.tensors[name] = torch.cat([self.tensors.pop(part) for part in parts])
        self.keys[name] = [key for part in parts for key in self.keys.pop(part)]

    def drop(self, name: str) -> None:
        """Count a tensor as left out."""
        del self.tensors[name]
        self.left_out += self.keys.pop(name)

    def fill(self, name: str, size: int | tuple[int, ...]) -> None:
        """Zeros in the place of a tensor that the source computes without."""
        like = next(iter(self.tensors.values()))
        self.tensors[name], self.keys[name] = torch.zeros(size, dtype=like.dtype), []

    @property
    def num_layers(self) -> int:
        """Number of transformer blocks."""
        return len({name.split('.')[1] for name in self.tensors if name.startswith('layers.')})


def convert(weights: dict[str, Tensor], found: Format, prefix: str, grid: tuple[int, int] | None,
            expert: str | None, source: str, keep_layer_scale: bool = False) -> Encoder:
    """Bring the tensors of a checkpoint into the names and forms of our encoder.

    Args:
        weights: The checkpoint's tensors.
        found: Its format.
        prefix: What the encoder's keys begin with.
        grid: Height and width of our token grid; None leaves positions on the source's.
        expert: Which data set's expert to take, for ViTPose++.
        source: How error messages call the checkpoint.
        keep_layer_scale: Leave LayerScales as they are, for an encoder that has them.

    Raises:
        ValueError: If a rule of the format does not fit.
    """
    encoder = Encoder({}, {}, [])
    tokens = registers = 0
    for key, value in weights.items():
        inner = key[len(prefix):] if key.startswith(prefix) else key
        if inner.startswith(found.others):
            encoder.left_out.append(key)
            tokens += inner in CLASS_TOKENS
            registers += value.shape[-2] if inner in REGISTERS and value.ndim > 1 else 0
            continue
        name = _rename(inner, found) if key.startswith(prefix) else key
        # Products and interpolation in half precision would lose digits.
        is_half = value.dtype in (torch.float16, torch.bfloat16)
        encoder.tensors[name] = value.float() if is_half else value
        encoder.keys[name] = [key]
    _join_queries_keys_values(encoder, found)
    require_plain({key: name for name, keys in encoder.keys.items() for key in keys}, source)
    _choose_expert(encoder, expert, source)
    if not keep_layer_scale:
        _fold_layer_scale(encoder)
    stem = 'patch_embed.projection.'
    if 'pre_norm.weight' in encoder.tensors and f'{stem}bias' not in encoder.tensors and (
            f'{stem}weight' in encoder.tensors):  # CLIP's has no bias
        encoder.fill(f'{stem}bias', len(encoder.tensors[f'{stem}weight']))
    if POS_EMBED in encoder.tensors:
        others = 1 if found.add_class_row else tokens
        _fit_pos_embed(encoder, grid, found.add_class_row, {others + registers, others, 0}, source)
    elif found.rope and grid and 'ln1.weight' in encoder.tensors:
        encoder.fill(POS_EMBED, (1, grid[0] * grid[1], len(encoder.tensors['ln1.weight'])))
    return encoder


def _rename(key: str, found: Format) -> str:
    for pattern, replacement in found.names.items():
        key = re.sub(pattern, replacement, key)
    return key


def _join_queries_keys_values(encoder: Encoder, found: Format) -> None:
    """One tensor of the three projections; DINOv3's keys have no bias, or one that is masked."""
    tensors = encoder.tensors
    for name in list(tensors):
        block, _, kind = name.rpartition('.attn.')
        at = f'{block}.attn.'
        if found.rope and kind == 'qkv.weight' and f'{at}qkv.bias' not in tensors:
            width = len(tensors[name]) // 3
            if f'{at}q_bias' in tensors and f'{at}v_bias' in tensors:  # timm's
                encoder.fill(f'{at}k_bias', width)
                encoder.join(f'{at}qkv.bias', [f'{at}{letter}_bias' for letter in 'qkv'])
            else:
                encoder.fill(f'{at}qkv.bias', 3 * width)
        elif found.rope and kind == 'qkv.bias_mask' and f'{at}qkv.bias' in tensors and (
                tensors[name].shape == tensors[f'{at}qkv.bias'].shape):
            tensors[f'{at}qkv.bias'] = tensors[f'{at}qkv.bias'] * tensors.pop(name)
            encoder.keys[f'{at}qkv.bias'] += encoder.keys.pop(name)
        elif kind.startswith('q.'):
            parts = [f'{at}{letter}.{kind[2:]}' for letter in 'qkv']
            if found.rope and kind == 'q.bias' and parts[1] not in tensors:
                encoder.fill(parts[1], len(tensors[name]))
            if all(part in tensors for part in parts):
                encoder.join(f'{at}qkv.{kind[2:]}', parts)


def _choose_expert(encoder: Encoder, expert: str | None, source: str) -> None:
    """Let one expert of ViTPose++ give the last channels of the feed-forward networks."""
    names = [name for name in encoder.tensors if '.ffn.experts.' in name]
    if not names:
        if expert is not None:
            raise ValueError(f'{source} has no experts to choose {expert!r} from')
        return
    layers = [name for name in encoder.tensors
              if re.fullmatch(r'layers\.\d+\.ffn\.layers\.1\.(weight|bias)', name)]
    # The official splitter leaves the experts beside complete networks.
    norms = [encoder.tensors.get(f'{name.split(".ffn.")[0]}.ln2.bias', ()) for name in layers]
    complete = all(len(encoder.tensors[name]) == len(norm) for name, norm in zip(layers, norms))
    if complete:
        if expert is not None:
            raise ValueError(f'{source} was split for one data set already; leave out the expert')
        encoder.notes.append('experts left out: the networks are complete without them')
    else:
        if expert not in EXPERTS:
            raise ValueError(f'{source} is a ViTPose++ with an expert for each data set; choose '
                             f'one of {", ".join(EXPERTS)} by --expert or expert=, got {expert}')
        encoder.notes.append(f'expert of {expert}')
        for name in layers:
            chosen = name.replace('.layers.1.', f'.experts.{EXPERTS.index(expert)}.')
            if chosen in encoder.tensors:
                encoder.join(name, [name, chosen])
    for name in names:
        if name in encoder.tensors:
            encoder.drop(name)


def _fold_layer_scale(encoder: Encoder) -> None:
    """Multiply the outputs of attention and feed-forward by the learned scale of each channel."""
    scaled = {'ls1': 'attn.proj', 'ls2': 'ffn.layers.1'}
    folded = 0
    for name in [name for name in encoder.tensors if name.rpartition('.')[2] in scaled]:
        block, _, kind = name.rpartition('.')
        targets = [f'{block}.{scaled[kind]}.{end}' for end in ('weight', 'bias')]
        scale = encoder.tensors[name]
        if scale.ndim != 1 or not all(
                target in encoder.tensors and len(encoder.tensors[target]) == len(scale)
                for target in targets):
            continue  # stays, and ends as an unknown tensor
        for target in targets:
            value = encoder.tensors[target]
            encoder.tensors[target] = value * scale.view(-1, *[1] * (value.ndim - 1))
        del encoder.tensors[name]
        encoder.keys[targets[0]] += encoder.keys.pop(name)
        folded += 1
    if folded:
        encoder.notes.append(f'{folded} LayerScales folded into the layers before them: the '
                             'same function, but learning rate and weight decay act on products')


def _fit_pos_embed(encoder: Encoder, grid: tuple[int, int] | None, add_class_row: bool,
                   counts: set[int], source: str) -> None:
    """Take the rows of other tokens out of a position embedding and bring it to our token grid.

    Not every model has rows for its class token or registers, so several counts are tried.
    """
    pos_embed = encoder.tensors[POS_EMBED]
    rows = pos_embed.shape[1] if pos_embed.ndim == 3 else 0
    for others in sorted(counts, reverse=True):
        found = _token_grid(rows - others, grid)
        if found:
            break
    else:
        raise ValueError(f'{source}: the {rows} rows of the position embedding '
                         f'{tuple(pos_embed.shape)} are no square nor a 4:3 grid of tokens')
    if others:
        row, pos_embed = pos_embed[:, :1], pos_embed[:, others:]
        if add_class_row:
            pos_embed = pos_embed + row
        encoder.notes.append(f'pos_embed: class row {"added" if add_class_row else "dropped"}')
    encoder.grid = found
    if grid and found != grid:
        pos_embed = resize_pos_embed(pos_embed, found, grid)
        encoder.notes.append('pos_embed: {}x{} -> {}x{}'.format(*found, *grid))
    encoder.tensors[POS_EMBED] = pos_embed


def _token_grid(tokens: int, ours: tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width of a token grid: ours, a square (MAE, timm) or 4:3 (people)."""
    if tokens < 1:
        return None
    if ours and tokens == ours[0] * ours[1]:
        return ours
    side = math.isqrt(tokens)
    if side**2 == tokens:
        return side, side
    unit = math.isqrt(tokens // 12)
    return (4 * unit, 3 * unit) if 12 * unit**2 == tokens else None
