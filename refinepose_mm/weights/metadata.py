"""What stands beside the weights and no shape shows: heads, epsilon, activation, shortcuts.

It may stand in the checkpoint's own numbers and words, which `refinepose weights` writes; in the
config that MMEngine puts into checkpoints as text (``meta['cfg']``), which is parsed and not
executed; or in the ``config.json`` of Hugging Face.
"""

from __future__ import annotations

import ast
import math
from typing import Any, NamedTuple

from ..models.shortcut_vit import ARCHS, SHORTCUTS, Arch
from ..models.vit_layers import ACTIVATIONS

MAX_CONFIG = 1_000_000  # characters
HUGGING_FACE_ACTIVATIONS = {'gelu': 'gelu', 'gelu_pytorch_tanh': 'gelu_tanh',
                            'gelu_new': 'gelu_tanh', 'quick_gelu': 'quick_gelu'}


class Facts(NamedTuple):
    """What a file says of its encoder; None where it says nothing."""

    num_heads: int | None = None
    eps: float | None = None
    activation: str | None = None
    shortcut: str | None = None


def facts_in(meta: dict[str, Any]) -> Facts:
    """What stands beside the weights.

    Args:
        meta: As :func:`~refinepose_mm.checkpoints.open_checkpoint` returns it; its values are as
            untrusted as the file.
    """
    found: dict[str, Any] = {name: meta.get(name) for name in Facts._fields}
    for words in (_of_mmengine(meta.get('cfg')), _of_hugging_face(meta.get('config'))):
        found = {name: words.get(name) if value is None else value
                 for name, value in found.items()}
    return Facts(_heads(found['num_heads']), _eps(found['eps']),
                 _one_of(found['activation'], ACTIVATIONS), _one_of(found['shortcut'], SHORTCUTS))


def _heads(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) < 5:
        value = int(value)
    return value if type(value) is int and value > 0 else None


def _eps(value: Any) -> float | None:
    try:
        number = float(value) if type(value) in (str, float) else math.nan
    except ValueError:
        return None
    return number if 0 < number < 1 else None


def _one_of(value: Any, known: Any) -> str | None:
    return value if isinstance(value, str) and value in known else None


def _of_hugging_face(config: Any) -> dict[str, Any]:
    """``config.json``, of the model itself or of one that has it as a part."""
    if not isinstance(config, dict):
        return {}
    found: dict[str, Any] = {}
    for part in (config, config.get('backbone_config'), config.get('vision_config')):
        if isinstance(part, dict):
            words = dict(num_heads=part.get('num_attention_heads'),
                         eps=part.get('layer_norm_eps'))
            if isinstance(part.get('hidden_act'), str):
                words['activation'] = HUGGING_FACE_ACTIVATIONS.get(part['hidden_act'])
            found = {**{name: value for name, value in words.items() if value is not None},
                     **found}
    return found


def _of_mmengine(text: Any) -> dict[str, Any]:
    """``model.backbone`` of a config: its arch, or ours of that name, and our shortcuts."""
    if not isinstance(text, str) or len(text) > MAX_CONFIG:
        return {}
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    for statement in statements:
        if isinstance(statement, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == 'model'
                for target in statement.targets):
            backbone = _table(_table(statement.value).get('backbone'))
            words = {name: _constant(node) for name, node in _table(backbone.get('arch')).items()}
            if _constant(backbone.get('type')) == 'ShortcutViT':
                name = _constant(backbone.get('arch'))
                words = {**Arch._field_defaults, **words}
                if isinstance(name, str):
                    words = ARCHS[name]._asdict() if name in ARCHS else {}
                words['shortcut'] = _constant(backbone.get('shortcut')) or 'identity'
            return words
    return {}


def _table(node: ast.AST | None) -> dict[Any, ast.AST]:
    """Names and values of ``dict(...)`` or ``{...}``."""
    if isinstance(node, ast.Call):
        return {keyword.arg: keyword.value for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        return {key.value: value for key, value in zip(node.keys, node.values)
                if isinstance(key, ast.Constant)}
    return {}


def _constant(node: ast.AST | None) -> Any:
    return node.value if isinstance(node, ast.Constant) else None
