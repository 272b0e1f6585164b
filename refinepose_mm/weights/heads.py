"""How many attention heads a checkpoint has: no shape shows it, and another number is another
function of the same weights.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .formats import Format
from .metadata import facts_in


class Heads(NamedTuple):
    """A number of attention heads, and who says so."""

    number: int
    origin: str


def find_heads(found: Format, widths: tuple[int, int], meta: dict[str, Any],
               told: int | None, source: str) -> Heads:
    """The number of attention heads of a checkpoint: the file's, the format's or the user's word.

    Args:
        found: Its format.
        widths: Its token width and number of blocks.
        meta: What stands beside its weights; comes first.
        told: What the user says, for what neither the file nor the format shows.
        source: How error messages call the checkpoint.

    Raises:
        ValueError: If nobody knows, or the user contradicts the file or the format.
    """
    number, origin = facts_in(meta).num_heads, 'by the file'
    if number is None:
        number, origin = found.heads.get(widths), 'by the format'
    if number is None:
        number, origin = told, 'as told'
    if number is None:
        raise ValueError(
            f'{source} ({found.name}, width {widths[0]}, {widths[1]} blocks) does not show its '
            'number of attention heads, and another number is another function. Look it up and '
            'give it, --num-heads or num_heads=: small models have 6 (timm, DeiT, DINO) or 12 '
            '(ViTPose, MoCo-v3)')
    if told not in (None, number):
        raise ValueError(f'{source} ({found.name}) has {number} attention heads, {origin}; '
                         f'got num_heads={told}')
    return Heads(number, origin)
