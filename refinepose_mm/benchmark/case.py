"""What is timed: a case is a model, an engine that runs it, a task and its size."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from ..deploy.formats import TARGETS
from ..models.shortcut_vit import ARCHS
from ..recipes import refinepose, refinepose_lean, vitpose

PEERS = ('MMPose ViTPose', 'MMPose ViTPose simple')  # on mmpretrain's backbone
MODEL_TASKS = ('forward', 'predict', 'train', 'scene')
DTYPES = dict(fp32=torch.float32, bf16=torch.bfloat16)
# An engine is eager PyTorch, the same after deploy(), or a file format, optionally in a precision.
PRECISIONS = {'openvino-bf16': ('openvino', 'bf16'), 'openvino-int8': ('openvino', 'int8')}
ENGINES = ('eager', 'deploy', *TARGETS, *PRECISIONS)


@dataclass(frozen=True)
class Case:
    """One thing to time.

    Attributes:
        model: A name of :func:`variants`.
        engine: One of ENGINES. Exported files only run the forward pass and scenes.
        task: One of MODEL_TASKS; the command's help says what each one does.
        arch: Encoder size.
        img_size: Input height and width in pixels.
        batch: Persons at a time.
        dtype: Of eager models, a key of DTYPES; a file has the precision of its engine's name.
        device: Of eager models; exported files run on the CPU.
        folder: For exported files, which cases share.
    """

    model: str
    engine: str
    task: str
    arch: str
    img_size: tuple[int, int]
    batch: int
    dtype: str
    device: torch.device
    folder: Path

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.model if self.engine == 'eager' else f'{self.model}, {self.engine}'

    @property
    def config(self) -> dict:
        """The config of the model."""
        return variants(self.arch, self.img_size)[self.model]

    def file(self, suffix: str) -> Path:
        """Where a file of the model lies, whatever task and batch it is for."""
        return self.folder / f'{self.model} {self.arch} {self.img_size[0]}{suffix}'

    def build(self) -> nn.Module:
        """The model with random weights, which take as long as trained ones."""
        return build(self.config, self.device)


def variants(arch: str, img_size: tuple[int, int]) -> dict[str, dict]:
    """Configs of what is compared, by name; those of PEERS come first and need mmpretrain."""
    ours = {
        'ViTPose': vitpose(arch, img_size),
        'ViTPose simple': vitpose(arch, img_size, head='simple'),
        'RefinePose': refinepose(arch, img_size),
        'RefinePose taper': refinepose(arch, img_size, head=dict(channel_match='taper')),
        'RefinePose lean': refinepose_lean(arch, img_size)}
    kept = copy.deepcopy(ours['RefinePose'])
    for part in ('backbone', 'head'):
        kept[part]['recompute'] = False
    ours['RefinePose no recompute'] = kept
    backbone = dict(  # as MMPose 1.3 configures it
        type='mmpretrain.VisionTransformer', arch=ARCHS[arch].as_config(), img_size=img_size,
        patch_size=16, qkv_bias=True, with_cls_token=False, out_type='featmap',
        patch_cfg=dict(padding=2))
    theirs = [dict(ours[name], backbone=backbone) for name in ('ViTPose', 'ViTPose simple')]
    theirs[1]['neck'] = dict(theirs[1]['neck'], select_index=0)  # its features are the map alone
    return {**dict(zip(PEERS, theirs)), **ours}


def build(config: dict, device: torch.device) -> nn.Module:
    """A pose estimator with random weights."""
    init_default_scope('mmpose')
    return MODELS.build(config).to(device).eval()
