"""What leaves the house: an encoder, a model for MMPose, or a folder for Hugging Face."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from mmpose.registry import MODELS
from safetensors.torch import save
from torch import Tensor, nn

from ..checkpoints import write_checkpoint
from ..files import replacing
from ..models.patch_embedding import PatchEmbedding
from ..models.shortcut_vit import PATCH_SIZE, ShortcutViT
from ..recipes import DECONV_CHANNELS, vitpose
from .loading import Report, load_source
from .pose_heads import HEAD, find_head, head_arguments, hugging_face_head, kind_of
from .source import Source

BACKBONE = 'backbone.'
WRITERS = ('encoder', 'model', 'huggingface')
HUGGING_FACE_NAMES = {  # ours: theirs
    'ln1.': 'layernorm_before.',
    'attn.proj.': 'attention.output.dense.',
    'ln2.': 'layernorm_after.',
    'ffn.layers.0.0.': 'mlp.fc1.',
    'ffn.layers.1.': 'mlp.fc2.',
}
HUGGING_FACE_ACTIVATIONS = {'gelu': 'gelu', 'gelu_tanh': 'gelu_pytorch_tanh',
                            'quick_gelu': 'quick_gelu'}


def write_encoder(output: str, backbone: ShortcutViT, report: Report, inputs: Iterable[Path],
                  ) -> None:
    """Write what was loaded, with the names of RefinePose; a fresh stem is not."""
    encoder = backbone.state_dict()
    write_checkpoint(output, {BACKBONE + name: encoder[name] for name in report.loaded},
                     _words(backbone, report.format), inputs=inputs)


def write_model(output: str, model: nn.Module, origin: str, inputs: Iterable[Path]) -> None:
    """Write a whole pose estimator, as MMPose loads it."""
    write_checkpoint(output, dict(model.state_dict()), _words(model.backbone, origin),
                     inputs=inputs)


def _words(backbone: ShortcutViT, origin: str) -> dict[str, int | str]:
    arch = backbone.arch
    return dict(num_heads=arch.num_heads, eps=str(arch.eps), activation=arch.activation,
                shortcut=backbone.shortcut, source=origin)


def build_vitpose(source: Source, img_size: tuple[int, int]) -> tuple[nn.Module, Report]:
    """The whole ViTPose of a checkpoint: plain encoder and head.

    Raises:
        ValueError: If the file has no head of ViTPose's.
    """
    head = find_head(source)
    config = vitpose(source.arch._replace(layer_scale=False).as_config(), img_size,
                     len(head['final_layer.weight']), **head_arguments(head))
    config['backbone']['stem']['padding'] = source.format.padding
    model = MODELS.build(config)
    report = load_source(model.backbone, source)
    missing = model.head.load_state_dict(head, strict=False).missing_keys
    missing = [name for name in missing if not name.endswith('num_batches_tracked')]
    if missing:
        raise ValueError(f'{source.name}: its head has no {missing[0]}')
    taken = {key for key in report.left_out if any(
        value is source.weights[key] for value in head.values())}
    return model.eval(), report._replace(
        left_out=[key for key in report.left_out if key not in taken],
        notes=[*report.notes, f'{kind_of(head)} head of {len(head["final_layer.weight"])} joints '
               f'from {len(taken)} tensors'])


def write_huggingface(output: str | Path, model: nn.Module, names: list[str] | None = None) -> None:
    """Write a ViTPose as a folder that ``VitPoseForPoseEstimation.from_pretrained`` loads.

    Args:
        output: The folder; it is made, unless it is there.
        model: A ``TopdownPoseEstimator`` with a plain :class:`ShortcutViT` and ViTPose's head.
        names: Of the joints.

    Raises:
        ValueError: If the architecture is not ViTPose's.
        OSError: If the folder cannot be written to.
    """
    tensors = _hugging_face_tensors(model)
    joints = len(tensors[f'{HEAD}conv.weight'])
    output = Path(output)
    output.mkdir(exist_ok=True)
    with replacing(output / 'model.safetensors') as path:
        for name, words in (('config.json', _config(model, names or [
                f'LABEL_{joint}' for joint in range(joints)])),
                            ('preprocessor_config.json', _preprocessor(model))):
            path.with_name(name).write_text(json.dumps(words, indent=2) + '\n', encoding='utf-8')
        path.write_bytes(save({name: value.contiguous() for name, value in tensors.items()},
                              dict(format='pt')))


def _hugging_face_tensors(model: nn.Module) -> dict[str, Tensor]:
    backbone = model.backbone
    require_vitpose(backbone)
    widths = head_arguments(model.head.state_dict())['deconv_channels']
    if widths != DECONV_CHANNELS:
        raise ValueError(f"Hugging Face's VitPose has deconvolutions of {DECONV_CHANNELS} "
                         f'channels, this model {widths}')
    tensors: dict[str, Tensor] = {}
    state = backbone.state_dict()
    for name, value in state.items():
        if name.startswith('layers.'):
            _, block, inner = name.split('.', 2)
            at = f'{BACKBONE}encoder.layer.{block}.'
            if inner.startswith('attn.qkv.'):
                end = inner.rpartition('.')[2]
                for part, chunk in zip(('query', 'key', 'value'), value.chunk(3)):
                    tensors[f'{at}attention.attention.{part}.{end}'] = chunk
            else:
                ours = next(ours for ours in HUGGING_FACE_NAMES if inner.startswith(ours))
                tensors[at + HUGGING_FACE_NAMES[ours] + inner[len(ours):]] = value
    embeddings = f'{BACKBONE}embeddings.'
    position = state['pos_embed']
    # Their first row is added to all others.
    tensors[f'{embeddings}position_embeddings'] = torch.cat(
        [torch.zeros_like(position[:, :1]), position], dim=1)
    for end in ('weight', 'bias'):
        tensors[f'{embeddings}patch_embeddings.projection.{end}'] = (
            state[f'patch_embed.projection.{end}'])
        tensors[f'{BACKBONE}layernorm.{end}'] = state[f'ln1.{end}']
    return {**tensors, **hugging_face_head(model.head.state_dict())}


def require_vitpose(backbone: ShortcutViT) -> None:
    """Check that an encoder is ViTPose's, the only one that Hugging Face's VitPose can hold.

    Raises:
        ValueError: If it is not; says in what.
    """
    arch, stem = backbone.arch, backbone.patch_embed
    for is_so, what in (
            (not isinstance(stem, PatchEmbedding), f'the stem is {type(stem).__name__}'),
            (isinstance(stem, PatchEmbedding) and stem.projection.padding != (2, 2),
             'the patch embedding does not pad by 2 pixels'),
            (backbone.shortcut != 'none', f'it has shortcuts ({backbone.shortcut})'),
            (arch.layer_scale, 'it has LayerScale; load it folded'),
            (arch.pre_norm, 'it has a LayerNorm before the blocks'),
            (bool(arch.rope), 'it has rotary attention'),
            (arch.feedforward_channels % arch.embed_dims != 0,
             f'the feed-forward width {arch.feedforward_channels} is no multiple of the token '
             f'width {arch.embed_dims}')):
        if is_so:
            raise ValueError(f"Hugging Face's VitPose holds ViTPose only: {what}")


def _config(model: nn.Module, names: list[str]) -> dict[str, Any]:
    backbone, arch = model.backbone, model.backbone.arch
    return dict(
        architectures=['VitPoseForPoseEstimation'],
        model_type='vitpose',
        backbone_config=dict(
            model_type='vitpose_backbone',
            image_size=[PATCH_SIZE * size for size in backbone.grid],
            patch_size=[PATCH_SIZE, PATCH_SIZE],
            num_channels=3,
            hidden_size=arch.embed_dims,
            num_hidden_layers=arch.num_layers,
            num_attention_heads=arch.num_heads,
            mlp_ratio=arch.feedforward_channels // arch.embed_dims,
            hidden_act=HUGGING_FACE_ACTIVATIONS[arch.activation],
            layer_norm_eps=arch.eps,
            qkv_bias=True,
            out_indices=[arch.num_layers]),
        id2label={str(joint): name for joint, name in enumerate(names)},
        label2id={name: joint for joint, name in enumerate(names)},
        scale_factor=4,
        use_simple_decoder=kind_of(model.head.state_dict()) == 'simple')


def _preprocessor(model: nn.Module) -> dict[str, Any]:
    """The normalisation of our recipes: ImageNet's."""
    height, width = (PATCH_SIZE * size for size in model.backbone.grid)
    preprocessor = model.data_preprocessor
    return dict(
        image_processor_type='VitPoseImageProcessor',
        do_affine_transform=True,
        do_normalize=True,
        do_rescale=True,
        image_mean=[round(value / 255, 6) for value in preprocessor.mean.flatten().tolist()],
        image_std=[round(value / 255, 6) for value in preprocessor.std.flatten().tolist()],
        normalize_factor=200.,
        rescale_factor=1 / 255,
        size=dict(height=height, width=width))
