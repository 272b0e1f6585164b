"""Where a project starts from: an encoder of any known format, or a whole RefinePose."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..checkpoints import open_checkpoint, write_checkpoint
from ..models.shortcut_vit import Arch
from ..weights.formats import OURS
from ..weights.loading import load_source
from ..weights.pose_heads import find_head
from ..weights.source import Source, describe

LAST = 'head.final_layer.'  # its rows are the joints


def open_source(path: str, num_heads: int | None = None, expert: str | None = None) -> Source:
    """Read a checkpoint and recognise it.

    Raises:
        OSError: If it cannot be had.
        ValueError: If it is no checkpoint, of no known format, or its number of heads is unknown.
    """
    weights, meta = open_checkpoint(path)
    return describe(weights, path, meta=meta, num_heads=num_heads, expert=expert)


def is_whole(source: Source) -> bool:
    """Whether a checkpoint is a RefinePose with its head."""
    return source.format.name == OURS and f'{LAST}weight' in source.weights


def is_vitpose(source: Source) -> bool:
    """Whether a checkpoint is a ViTPose with its head, which `refinepose transplant` takes."""
    try:
        find_head(source)
    except ValueError:
        return False
    return source.format.name != OURS


def arch_of(source: Source) -> Arch:
    """The arch of the new encoder: the checkpoint's, with its LayerScales folded."""
    return source.arch._replace(layer_scale=False)


def encoder_config(source: Source) -> dict[str, Any]:
    """``init_cfg`` of a backbone that takes the encoder alone."""
    path = source.name if '://' in source.name else str(Path(source.name).resolve())
    expert = {} if source.expert is None else dict(expert=source.expert)
    return dict(type='EncoderWeights', checkpoint=path, num_heads=source.heads.number, **expert)


def transplant(model: nn.Module, names: list[str], source: Source, output: Path) -> str:
    """Write the weights of a whole RefinePose with its head fitted to other joints.

    The head's last layer has a row for each joint. Rows of joints that the source knows by the
    same name are taken over, the others start anew, as does the whole head if it has other widths.

    Args:
        model: Of the new project.
        names: Of its joints.
        source: The old one.
        output: The checkpoint to write.

    Returns:
        What was taken over, as a sentence.

    Raises:
        ValueError: If the encoder does not fit.
    """
    torch.manual_seed(0)
    model.init_weights()
    load_source(model.backbone, source)
    state = model.state_dict()
    inner = [name for name in state if name.startswith('head.') and not name.startswith(LAST)]
    row = source.weights[f'{LAST}weight']
    if (any(name not in source.weights or source.weights[name].shape != state[name].shape
            for name in inner) or row.shape[1:] != state[f'{LAST}weight'].shape[1:]):
        report = 'encoder taken over; the head has other widths and starts anew'
    else:
        for name in inner:
            state[name] = source.weights[name]
        known = source_names(source)
        taken = [(joint, known[normal(name)]) for joint, name in enumerate(names)
                 if normal(name) in known]
        for part in ('weight', 'bias'):
            for joint, other in taken:
                state[LAST + part][joint] = source.weights[LAST + part][other]
        fresh = [name for name in names if normal(name) not in known]
        report = (f'encoder and head taken over, with the last layer of {len(taken)} of '
                  f'{len(names)} joints by name' + ('' if known else '; the file has no names')
                  + (f'; new: {", ".join(fresh[:3])}{", ..." if fresh[3:] else ""}' if fresh
                     else ''))
    write_checkpoint(output, {name: value.contiguous() for name, value in state.items()},
                     dict(num_heads=source.arch.num_heads), inputs=[source.name])
    return report


def source_names(source: Source) -> dict[str, int]:
    """The joints that a checkpoint knows, in :func:`normal` form -> row of its last layer."""
    info = source.meta.get('dataset_meta')
    table = info.get('keypoint_id2name') if isinstance(info, dict) else None
    rows = len(source.weights[f'{LAST}weight'])
    if not isinstance(table, dict):
        return {}
    return {normal(str(name)): joint for joint, name in table.items()
            if type(joint) is int and 0 <= joint < rows}


def normal(name: str) -> str:
    """A name without case and signs: 'Left Knee' is left_knee."""
    return re.sub(r'[\W_]+', '', name.lower())
