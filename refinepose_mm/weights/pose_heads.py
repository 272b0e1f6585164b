"""ViTPose's head in MMPose's names, from the names of others and back."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from ..recipes import DECONV_CHANNELS
from .conversion import EXPERTS
from .formats import OURS, summary
from .source import Source

HEAD = 'head.'
# MMPose's names and those of Hugging Face; official ViTPose has MMPose's.
HUGGING_FACE_HEAD = {
    'deconv_layers.0.': 'deconv1.',
    'deconv_layers.1.': 'batchnorm1.',
    'deconv_layers.3.': 'deconv2.',
    'deconv_layers.4.': 'batchnorm2.',
    'final_layer.': 'conv.',
}


def find_head(source: Source) -> dict[str, Tensor]:
    """The head of a pose estimator, in MMPose's names without ``head.``.

    Raises:
        ValueError: If the file has none, or not that of the expert.
    """
    prefix, names = HEAD, {}
    if source.format.name == 'official ViTPose':
        number = EXPERTS.index(source.expert) if source.expert else 0
        prefix = f'associate_keypoint_heads.{number - 1}.' if number else 'keypoint_head.'
    elif source.format.name == 'Hugging Face VitPose':
        names = {theirs: ours for ours, theirs in HUGGING_FACE_HEAD.items()}
        if source.expert not in (None, EXPERTS[0]):
            raise ValueError(f'{source.name} has one head, which is not known to be that of '
                             f'{source.expert}; the official file has a head for each data set')
    elif source.format.name not in (OURS, 'MMPose ViTPose'):
        raise ValueError(f'{source.name} ({source.format.name}) is an encoder without the head '
                         'of a pose estimator; --write encoder takes it')
    head = {}
    for key, value in source.weights.items():
        if key.startswith(prefix):
            inner = key[len(prefix):]
            for theirs, ours in names.items():
                inner = re.sub(rf'^{re.escape(theirs)}', ours, inner)
            head[inner] = value
    if 'final_layer.weight' not in head:
        raise ValueError(f'{source.name} ({source.format.name}) has no head under {prefix}; its '
                         f'keys are {summary(source.weights)}')
    return head


def head_arguments(head: dict[str, Tensor]) -> dict[str, Any]:
    """Kind and widths of a head, as :func:`~refinepose_mm.recipes.vitpose` takes them.

    Raises:
        ValueError: If it is none of ViTPose's.
    """
    kind = kind_of(head)
    widths = [head[f'deconv_layers.{layer}.weight'].shape[1] for layer in (0, 3)
              ] if kind == 'classic' else DECONV_CHANNELS
    return dict(head=kind, deconv_channels=tuple(widths))


def kind_of(head: dict[str, Tensor]) -> str:
    """'classic' or 'simple', ViTPose's heads; a classic one may have other widths than 256.

    Raises:
        ValueError: If it is another one.
    """
    kernel = head['final_layer.weight'].shape[-1]
    names = {name.rpartition('.')[0] for name in head}
    classic = {name.rstrip('.') for name in HUGGING_FACE_HEAD}
    if names == classic and kernel == 1:
        return 'classic'
    if names == {'final_layer'} and kernel == 3:
        return 'simple'
    raise ValueError("the head is none of ViTPose's (two deconvolutions, or one 3x3 "
                     f'convolution): {summary(head)}')


def hugging_face_head(head: dict[str, Tensor]) -> dict[str, Tensor]:
    """A head in the names of Hugging Face's VitPose."""
    renamed = {}
    for name, value in head.items():
        start = next(ours for ours in HUGGING_FACE_HEAD if name.startswith(ours))
        renamed[f'{HEAD}{HUGGING_FACE_HEAD[start]}{name[len(start):]}'] = value
    return renamed
