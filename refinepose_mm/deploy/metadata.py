"""What an exported file says of itself: how to crop, feed and decode, without any config.

Every file carries json under the key ``refinepose_mm``: ONNX in ``metadata_props``, OpenVINO in
``rt_info``, torch.export in ``extra_files``.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmpose.codecs import UDPHeatmap
from mmpose.registry import KEYPOINT_CODECS
from torch import Tensor, nn

from ..version import __version__
from .config import metainfo_of

KEY = 'refinepose_mm'
FORMAT = 1  # raise it when a field changes its meaning
CODEC_FIELDS = ('heatmap_size', 'sigma', 'blur_kernel_size')


def describe(model: nn.Module, decode: bool = False) -> dict[str, Any]:
    """The metadata of a model's file.

    ===============  ============================================================================
    field            meaning
    ===============  ============================================================================
    format           version of this table
    package          what wrote the file
    input            ``size`` (width, height) of the crops in pixels; their ``channels`` and
                     ``range``; ``batch``, where the file takes a fixed number of them
    precision        'f16' where the network computes in half precision
    normalization    ``mean``, ``std`` and order of ``channels``; ``inside``: whether the file
                     does it
    crop             ``padding``: the box is enlarged by this factor, then widened or heightened
                     to the crop's aspect ratio; ``udp``: whether its w units of length become
                     the crop's w - 1 (True) or w (False)
    codec            ``type`` and its arguments; ``pixels_per_step``: (x, y) in the heatmap times
                     this are keypoints; keypoints / input size are the place within the box,
                     from 0 to 1
    decode           whether keypoints and scores come out instead of heatmaps
    keypoints        ``count``; ``names``, ``flip_pairs`` and ``skeleton``, the latter two as
                     pairs of indices
    calibration      what the scores mean, see :mod:`~refinepose_mm.deploy.calibration`: for each of
                     its ``joints``, knots of ``heights`` (scores of the file), the probability
                     that the keypoint is ``right``, and its expected ``oks``; linear between
                     knots; left out where the model has none
    certificate      how far the file is from the model, see
                     :func:`~refinepose_mm.deploy.export.export`
    ===============  ============================================================================

    Fields of ``crop``, and the keypoints' names and pairs, come from the test data of ``model.cfg``
    (as ``load_model`` and MMPose's ``init_model`` set it); without it they are left out.

    Args:
        model: A ``TopdownPoseEstimator`` with a codec.
        decode: Whether the file decodes.
    """
    codec, preprocessor = model.head.decoder, model.data_preprocessor
    described = dict(
        format=FORMAT,
        package=f'refinepose_mm {__version__}',
        input=dict(size=list(map(int, codec.input_size)), channels='BGR', range=[0, 255]),
        normalization=dict(
            mean=_short(preprocessor.mean), std=_short(preprocessor.std),
            channels='RGB' if preprocessor._channel_conversion else 'BGR', inside=True),
        codec=_codec_fields(codec),
        decode=decode,
        keypoints=dict(count=model.head.out_channels))
    config = getattr(model, 'cfg', None) or {}
    dataset = config.get('test_dataloader', {}).get('dataset')
    if dataset:
        steps = {step['type']: step for step in dataset.get('pipeline', [])}
        if 'GetBBoxCenterScale' in steps and 'TopdownAffine' in steps:
            described['crop'] = dict(
                padding=steps['GetBBoxCenterScale'].get('padding', 1.25),
                udp=steps['TopdownAffine'].get('use_udp', False))
        joints = _joints(dataset)
        if len(joints['names']) == model.head.out_channels:  # test_cfg may choose some of them
            described['keypoints'].update(joints)
    calibration = getattr(model, 'calibration', None)
    if calibration is not None:
        described['calibration'] = calibration.to_dict()
    return described


def _short(values: Tensor) -> list[float]:
    """Numbers without the digits that single precision adds."""
    return [round(value, 4) for value in values.flatten().tolist()]


def _codec_fields(codec: object) -> dict[str, Any]:
    """Type, arguments and formula of a heatmap codec."""
    fields: dict[str, Any] = dict(type=type(codec).__name__)
    for name in CODEC_FIELDS:
        if hasattr(codec, name):
            fields[name] = np.asarray(getattr(codec, name)).tolist()
    if hasattr(codec, 'heatmap_size'):
        # UDP measures unit lengths: W heatmap pixels span W - 1 of them, and the whole crop.
        steps = np.subtract(codec.heatmap_size, isinstance(codec, UDPHeatmap))
        fields['pixels_per_step'] = np.divide(codec.input_size, steps).tolist()
    return fields


def _joints(dataset: dict) -> dict[str, Any]:
    """Names, pairs and skeleton of a data set."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of files that MMPose finds among its own
        metainfo = metainfo_of(dataset)
    names = [metainfo['keypoint_id2name'][index] for index in range(metainfo['num_keypoints'])]
    flip = metainfo['flip_indices']
    return dict(names=names,
                flip_pairs=[[left, right] for left, right in enumerate(flip) if left < right],
                skeleton=[list(map(int, link)) for link in metainfo['skeleton_links']])


def to_text(metadata: dict[str, Any]) -> str:
    """Metadata as json, on one line."""
    return json.dumps(metadata)


def from_text(text: str, path: Path) -> dict[str, Any]:
    """Metadata of a file.

    Raises:
        ValueError: If they are no json object, lack what running the file needs, or are of a later
            format.
    """
    damaged = ValueError(f'metadata of {path} are damaged')
    try:
        metadata = json.loads(text)
        version = metadata['format']
    except (ValueError, TypeError, KeyError, RecursionError):
        raise damaged from None
    if version != FORMAT:
        raise ValueError(f'{path} was written by {metadata.get("package")}: its metadata have '
                         f'format {version}, expected {FORMAT}')
    try:
        whole = _is_whole(metadata)
    except (TypeError, KeyError, AttributeError):
        whole = False
    if not whole:
        raise damaged
    return metadata


def _is_whole(metadata: dict[str, Any]) -> bool:
    """Whether what our engine and :func:`require_fit` read is there and of its kind."""
    normalization, batch = metadata['normalization'], metadata['input'].get('batch')
    parts = [] if normalization['inside'] else [normalization['mean'], normalization['std']]
    return (_are_numbers(metadata['input']['size'], 2) and (batch is None or batch >= 1)
            and isinstance(metadata['keypoints']['count'], int)
            and isinstance(metadata['codec'], dict)
            and all(_are_numbers(part, 3) for part in parts))


def _are_numbers(values: object, count: int) -> bool:
    return (isinstance(values, list) and len(values) == count
            and all(isinstance(value, (int, float)) for value in values))


def require_fit(metadata: dict[str, Any] | None, config: Config, path: str | Path) -> None:
    """Check that a file is of a config's model.

    Args:
        metadata: Of the file; None fits, as files of 0.1.0 say nothing.
        config: With ``model.head`` and its decoder.
        path: Of the file.

    Raises:
        ValueError: If input size, number of keypoints or codec differ; has both values.
    """
    if metadata is None:
        return
    head = config.model.head
    codec = KEYPOINT_CODECS.build(head.decoder)
    # A codec of another name with the same fields, such as UDPHeatmap, decodes alike.
    pairs = [('input size', metadata['input']['size'], list(codec.input_size)),
             ('number of keypoints', metadata['keypoints']['count'], head.get('out_channels'))]
    if metadata.get('interface') == 'rtmlib':
        raise ValueError(f'{path} is for rtmlib, which crops in its own way; export another one '
                         'without --interface')
    pairs += [(f'codec {name}', metadata['codec'].get(name), value)
              for name, value in _codec_fields(codec).items() if name != 'type']
    for name, ours, theirs in pairs:
        if ours != theirs:
            raise ValueError(f'{path} is not of {config.filename or "this config"}: its {name} is '
                             f'{ours}, the config has {theirs}')
