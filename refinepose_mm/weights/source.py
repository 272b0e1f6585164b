"""What a checkpoint is: its format, the arch of its encoder, and how far the file shows it."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from ..models.shortcut_vit import PATCH_SIZE, Arch
from .conversion import convert
from .formats import OURS, Format, recognise, unwrap
from .heads import Heads, find_heads
from .metadata import Facts, facts_in

POSITIONS = ('pos_embed', 'position_embeddings')
POSE_FORMATS = (OURS, 'MMPose ViTPose', 'official ViTPose', 'Hugging Face VitPose')


class Source(NamedTuple):
    """A checkpoint of a known format.

    Attributes:
        name: How messages call it.
        weights: Its tensors by name, without wrappers of training.
        meta: What stands beside them.
        format: Its format.
        prefix: What the keys of its encoder begin with.
        heads: Number of attention heads, and who says so.
        arch: Of its encoder; with LayerScale if the file has it.
        facts: What the file says of what no shape shows.
        patch_size: Of its stem in pixels; None if that is not one convolution.
        expert: As told.
    """

    name: str
    weights: dict[str, Tensor]
    meta: dict[str, Any]
    format: Format
    prefix: str
    heads: Heads
    arch: Arch
    facts: Facts
    patch_size: int | None
    expert: str | None

    @property
    def open_activation(self) -> bool:
        """Whether sources of this format differ in their activation, and the file is silent."""
        return self.facts.activation is None and len(self.format.activations) > 1

    @property
    def shortcut(self) -> str | None:
        """Around groups of blocks: what the weights show or the file says; None if neither."""
        return 'gated' if f'{self.prefix}gates' in self.weights else self.facts.shortcut

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width that a pose estimator was trained with, by its positions."""
        if self.format.name not in POSE_FORMATS or not any(
                key.endswith(POSITIONS) for key in self.weights):
            return None
        grid = convert(self.weights, self.format, self.prefix, None, self.expert, self.name).grid
        return grid and (PATCH_SIZE * grid[0], PATCH_SIZE * grid[1])


def describe(weights: dict[str, Tensor], name: str, *, meta: dict[str, Any] = {},
             num_heads: int | None = None, expert: str | None = None,
             source_format: str | None = None) -> Source:
    """Recognise a checkpoint and find the arch of its encoder.

    Arguments are those of :func:`~refinepose_mm.weights.loading.load_encoder`.

    Raises:
        ValueError: If it is of no known format, or its number of heads is unknown.
    """
    weights = unwrap(weights)
    found, prefix = recognise(weights, name, source_format)
    tensors = convert({key: value for key, value in weights.items()
                       if not key.endswith(POSITIONS)}, found, prefix, None, expert, name,
                      keep_layer_scale=True).tensors
    first = tensors.get('layers.0.ffn.layers.0.0.weight')
    if first is None or first.ndim != 2:
        raise ValueError(f'{name} ({found.name}) has no layers.0.ffn.layers.0.0.weight of two '
                         'dimensions, which shows the width')
    depth = len({tensor.split('.')[1] for tensor in tensors if tensor.startswith('layers.')})
    heads = find_heads(found, (first.shape[1], depth), meta, num_heads, name)
    facts = facts_in(meta)
    arch = Arch(first.shape[1], depth, heads.number, first.shape[0], facts.eps or found.eps,
                facts.activation or found.activations[0], 'layers.0.ls1' in tensors,
                'pre_norm.weight' in tensors, found.rope)
    stem = tensors.get('patch_embed.projection.weight')
    patch = stem.shape[-1] if stem is not None and stem.ndim == 4 else None
    return Source(name, weights, meta, found, prefix, heads, arch, facts, patch, expert)
