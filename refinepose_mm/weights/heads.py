"""How many attention heads a checkpoint has: no shape shows it, and another number is another
function of the same weights.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..models.shortcut_vit import ARCHS
from .formats import Format

MAX_CONFIG = 1_000_000  # characters


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
    number, origin = heads_in(meta), 'by the file'
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


def heads_in(meta: dict[str, Any]) -> int | None:
    """The number of heads that stands in a file, if any.

    It is `num_heads`, which `refinepose weights` writes; in the config that MMEngine puts into
    checkpoints as text (``meta['cfg']``), which is parsed and not executed; or in the
    ``config.json`` of Hugging Face.
    """
    number = meta.get('num_heads')
    if number is None and isinstance(meta.get('cfg'), str):
        number = _of_mmengine(meta['cfg'])
    config = meta.get('config')
    if number is None and isinstance(config, dict):
        for part in (config, config.get('backbone_config'), config.get('vision_config')):
            if number is None and isinstance(part, dict):
                number = part.get('num_attention_heads')
    if isinstance(number, str) and number.isdecimal() and len(number) < 5:
        number = int(number)
    return number if type(number) is int and number > 0 else None


def _of_mmengine(text: str) -> int | None:
    """``model.backbone.arch`` of a config: its num_heads, or those of our arch of that name."""
    if len(text) > MAX_CONFIG:
        return None
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for statement in statements:
        if isinstance(statement, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == 'model'
                for target in statement.targets):
            backbone = dict(_items(dict(_items(statement.value)).get('backbone')))
            arch = backbone.get('arch')
            if isinstance(arch, ast.Constant):
                kind = backbone.get('type')
                ours = isinstance(kind, ast.Constant) and kind.value == 'ShortcutViT'
                return ARCHS[arch.value].num_heads if ours and arch.value in ARCHS else None
            number = dict(_items(arch)).get('num_heads')
            return number.value if isinstance(number, ast.Constant) else None
    return None


def _items(node: ast.AST | None) -> Iterator[tuple[Any, ast.AST]]:
    """Names and values of ``dict(...)`` or ``{...}``."""
    if isinstance(node, ast.Call):
        yield from ((keyword.arg, keyword.value) for keyword in node.keywords)
    elif isinstance(node, ast.Dict):
        yield from ((key.value, value) for key, value in zip(node.keys, node.values)
                    if isinstance(key, ast.Constant))
