"""The formats of encoders that people have, each as a table of names and rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor

from ..models.shortcut_vit import ARCHS

# What our names, which are mmpretrain's, are called elsewhere. Besides them the patterns make
# names for the parts that a rule of conversion.py turns into ours: attn.q, attn.k and attn.v,
# ls1 and ls2 (LayerScale), and ffn.experts.
TIMM_NAMES = {
    r'^blocks\.': 'layers.',
    r'\.norm(\d)\.': r'.ln\1.',
    r'\.mlp\.fc1\.': '.ffn.layers.0.0.',
    r'\.mlp\.fc2\.': '.ffn.layers.1.',
    r'\.mlp\.experts\.': '.ffn.experts.',
    r'\.ls(\d)\.gamma$': r'.ls\1',
    r'^(last_)?norm\.': 'ln1.',
    r'^patch_embed\.proj\.': 'patch_embed.projection.',
}
# Files say `encoder.layer.0.attention.attention.query`, models of transformers 5 in memory
# `layers.0.attention.q_proj`. `attention.output.dense` has to come before `output.dense`.
HUGGING_FACE_NAMES = {
    r'^encoder\.layer\.': 'layers.',
    r'\.(layernorm_before|norm1)\.': '.ln1.',
    r'\.(layernorm_after|norm2)\.': '.ln2.',
    r'\.attention\.attention\.([qkv])(uery|ey|alue)\.': r'.attn.\1.',
    r'\.attention\.([qkv])_proj\.': r'.attn.\1.',
    r'\.attention\.(output\.dense|o_proj)\.': '.attn.proj.',
    r'\.(intermediate\.dense|mlp\.fc1)\.': '.ffn.layers.0.0.',
    r'\.(output\.dense|mlp\.fc2)\.': '.ffn.layers.1.',
    r'\.mlp\.experts\.': '.ffn.experts.',
    r'\.layer_scale(\d)\.lambda1$': r'.ls\1',
    r'^layernorm\.': 'ln1.',
    r'^embeddings\.position_embeddings$': 'pos_embed',
    r'^embeddings\.patch_embeddings\.projection\.': 'patch_embed.projection.',
}
TOKENS = ('cls_token', 'dist_token', 'mask_token', 'reg_token', 'register_tokens')
HUGGING_FACE_TOKENS = ('embeddings.cls_token', 'embeddings.distillation_token',
                       'embeddings.mask_token', 'embeddings.register_tokens')
POSE_HEADS = ('head.', 'keypoint_head.', 'associate_keypoint_heads.', 'neck.')
# Attention heads by width and number of blocks. No shape shows them; what is missing here has
# more than one answer, or none that we know.
HEADS = {(768, 12): 12, (1024, 24): 16, (1280, 32): 16}
SMALL_HAS_6 = {(192, 12): 3, (384, 12): 6, **HEADS}  # timm, DeiT, DINO, AugReg, DINOv2
SMALL_HAS_12 = {(384, 12): 12, **HEADS}  # ViTPose, MoCo-v3
TINY = {arch[:2]: arch.num_heads for arch in (ARCHS['tiny'], )}  # ours


class Format(NamedTuple):
    """A kind of checkpoint.

    Attributes:
        name: What the report calls it.
        markers: Keys without the prefix; a file that has one of them, and is of no format before
            this one, is of this format.
        names: Patterns in the encoder's keys, and what they become.
        others: Beginnings of keys that are left out: they belong to what RefinePose lacks.
        heads: Number of attention heads by width and number of blocks.
        prefixes: What the encoder's keys may begin with; keys without it belong to other modules.
        without: A key that such a file does not have, without the prefix.
        add_class_row: Add the first row of the position embedding to all others, as the source's
            own forward pass does, instead of dropping it.
        eps: The source's LayerNorm epsilon; ours is 1e-6.
        padding: Zero padding of the source's patch embedding in pixels.
        activation: The source's activation function where it is not GELU.
    """

    name: str
    markers: tuple[str, ...]
    names: dict[str, str]
    others: tuple[str, ...]
    heads: dict[tuple[int, int], int]
    prefixes: tuple[str, ...] = ('', )
    without: str = ''
    add_class_row: bool = False
    eps: float = 1e-6
    padding: int = 0
    activation: str = ''


OURS = 'RefinePose'
TIMM_REST = (*TOKENS, 'decoder_', 'head.', 'head_dist.', 'fc_norm.', 'pre_logits.')
HUGGING_FACE_REST = (*HUGGING_FACE_TOKENS, 'classifier.', 'cls_classifier.',
                     'distillation_classifier.', 'pooler.', 'decoder.')
FORMATS = (
    Format(OURS, ('patch_embed.conv7x7.weight', ), {}, ('head.', ), {**TINY, **HEADS},
           prefixes=('backbone.', )),
    # Classifiers of mmpretrain have these names too, and a class token: DeiT-S has 6 heads.
    Format('MMPose ViTPose', ('layers.0.ln1.weight', ), {}, POSE_HEADS, {**TINY, **SMALL_HAS_12},
           prefixes=('backbone.', ), without='cls_token', padding=2),
    Format('MMPose MAE or mmpretrain ViT', ('layers.0.ln1.weight', ), {},
           ('cls_token', *POSE_HEADS), HEADS, prefixes=('', 'backbone.')),
    Format('official ViTPose', ('blocks.0.norm1.weight', ), TIMM_NAMES, POSE_HEADS, SMALL_HAS_12,
           prefixes=('backbone.', ), without='cls_token', add_class_row=True, padding=2),
    Format('MoCo-v3', ('blocks.0.norm1.weight', ), TIMM_NAMES,
           (*TIMM_REST, 'momentum_encoder.', 'predictor.'), SMALL_HAS_12,
           prefixes=('base_encoder.', )),
    Format('timm SigLIP', ('attn_pool.latent', ), TIMM_NAMES, (*TIMM_REST, 'attn_pool.'), HEADS,
           activation='GELU by tanh in SigLIP2'),
    # ViTPose's authors have a small MAE with 12 heads; the official MAE has no small one.
    Format('official MAE with decoder', ('decoder_blocks.0.norm1.weight', ), TIMM_NAMES,
           TIMM_REST, HEADS),
    Format('official MAE or timm ViT', ('blocks.0.norm1.weight', ), TIMM_NAMES, TIMM_REST,
           SMALL_HAS_6, prefixes=('', 'backbone.')),
    Format('Hugging Face VitPose', ('encoder.layer.0.layernorm_before.weight', ),
           HUGGING_FACE_NAMES, POSE_HEADS, SMALL_HAS_12, prefixes=('backbone.', ),
           add_class_row=True, eps=1e-12, padding=2),
    Format('Hugging Face ViT',
           ('encoder.layer.0.layernorm_before.weight', 'layers.0.layernorm_before.weight'),
           HUGGING_FACE_NAMES, HUGGING_FACE_REST, SMALL_HAS_6,
           prefixes=('', 'vit.', 'deit.', 'ijepa.'), eps=1e-12),
    Format('Hugging Face Dinov2', ('encoder.layer.0.norm1.weight', ), HUGGING_FACE_NAMES,
           HUGGING_FACE_REST, SMALL_HAS_6, prefixes=('', 'dinov2.', 'dinov2_with_registers.')),
)
# Parts that our encoder lacks: a pattern in a key, and what it belongs to.
REFUSED = (
    (r'rope|rotary|bias_mask|storage_tokens|mlp\.(up|down)_proj\.',
     'rotary position embedding (DINOv3, Sapiens2)'),
    (r'(mlp|ffn)\.(w\d+|fc1_[gx]|fc3|weights_(in|out)|gate_proj)\.',
     'a gated feed-forward network (SwiGLU)'),
    (r'\.gamma_[12]$', 'LayerScale, under names that DeiT-III shares with rotary encoders; '
     "timm's file of DeiT-III has its own names, ls1.gamma"),
    (r'\.[qv]_bias$', 'attention without a bias of the keys (BEiT, EVA-02)'),
    (r'\.[qk]_norm\.', 'normalised queries and keys'),
    (r'\.(attn|mlp)\.norm\.|inner_attn_ln|ffn_ln', 'LayerNorms inside of the branches (BEiT-3)'),
    (r'rel_pos_[hw]|relative_position_bias', 'relative position bias'),
    (r'norm_pre\.|ln_pre\.|pre_layrnorm\.', 'a LayerNorm before the blocks (CLIP, PE)'),
    (r'\.self_attn\.', "CLIP's or SigLIP's names of Hugging Face; of SigLIP, timm's file loads"),
    (r'rms_norm', 'RMSNorm'),
    (r'layers\.\d+\.(blocks|downsample)\.|downsample_layers|pos_embed_window',
     'a hierarchy of resolutions'),
)
WRAPPED = ('module.', '_orig_mod.')  # by DistributedDataParallel and torch.compile


def unwrap(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take off what DistributedDataParallel and torch.compile put before every key."""
    for prefix in WRAPPED:
        if weights and all(key.startswith(prefix) for key in weights):
            return unwrap({key[len(prefix):]: value for key, value in weights.items()})
    return weights


def recognise(weights: dict[str, Tensor], source: str) -> tuple[Format, str]:
    """The format of a checkpoint and the prefix of its encoder, by the keys.

    Raises:
        ValueError: If no known format has such keys.
    """
    for candidate in FORMATS:
        for prefix in candidate.prefixes:
            if any(prefix + marker in weights for marker in candidate.markers) and not (
                    candidate.without and prefix + candidate.without in weights):
                return candidate, prefix
    require_plain(weights, source)
    names = dict.fromkeys(candidate.name for candidate in FORMATS)
    raise ValueError(f'{source} is none of the known formats ({", ".join(names)}); '
                     f'its keys are {summary(weights)}')


def require_plain(keys: Iterable[str], source: str) -> None:
    """Check that an encoder has no parts that ours lacks.

    Raises:
        ValueError: If it has; names the key and the part.
    """
    for key in keys:
        for pattern, part in REFUSED:
            if re.search(pattern, key):
                raise ValueError(f'{source} does not fit this encoder: {key} belongs to {part}')


def summary(keys: Iterable[str]) -> str:
    """Keys with numbers as stars, each pattern once: `layers.*.ln1.weight (12)`."""
    counts: dict[str, int] = {}
    for key in keys:
        pattern = re.sub(r'\.\d+(?=\.|$)', '.*', key)
        counts[pattern] = counts.get(pattern, 0) + 1
    names = [name if count == 1 else f'{name} ({count})' for name, count in counts.items()]
    return ', '.join(names[:8]) + (f' and {len(names) - 8} more' if names[8:] else '')
