"""The formats of encoders that people have, each as a table of names and rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor

from ..models.shortcut_vit import ARCHS
from .names import CLIP_NAMES, DINOV3_NAMES, GAMMA_NAMES, HUGGING_FACE_NAMES, TIMM_NAMES

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
        needs: Further keys that such a file has, without the prefix.
        without: Keys that such a file does not have, without the prefix.
        told: Another format has the same keys: it is this one only if somebody says so.
        add_class_row: Add the first row of the position embedding to all others, as the source's
            own forward pass does, instead of dropping it.
        eps: The source's LayerNorm epsilon.
        padding: Zero padding of the source's patch embedding in pixels.
        activations: The source's activation function; several, if no key tells which.
        rope: Base of its rotary attention; 0 for none.
        package: Whose code computes the source's function, and is asked for the proof.
    """

    name: str
    markers: tuple[str, ...]
    names: dict[str, str]
    others: tuple[str, ...]
    heads: dict[tuple[int, int], int]
    prefixes: tuple[str, ...] = ('', )
    needs: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    told: bool = False
    add_class_row: bool = False
    eps: float = 1e-6
    padding: int = 0
    activations: tuple[str, ...] = ('gelu', )
    rope: float = 0.
    package: str = ''

    def fits(self, weights: dict[str, Tensor], prefix: str) -> bool:
        """Whether a file whose encoder has this prefix is of this format."""
        return (any(prefix + marker in weights for marker in self.markers)
                and all(prefix + key in weights for key in self.needs)
                and not any(prefix + key in weights for key in self.without))


OURS = 'RefinePose'
TIMM_REST = (*TOKENS, 'decoder_', 'head.', 'head_dist.', 'fc_norm.', 'pre_logits.')
HUGGING_FACE_REST = (*HUGGING_FACE_TOKENS, 'classifier.', 'cls_classifier.',
                     'distillation_classifier.', 'pooler.', 'decoder.')
ROPE = 100.  # DINOv3's
FORMATS = (
    Format(OURS, ('patch_embed.conv7x7.weight', ), {}, ('head.', ), {**TINY, **HEADS},
           prefixes=('backbone.', )),
    # Classifiers of mmpretrain have these names too, and a class token: DeiT-S has 6 heads.
    Format('MMPose ViTPose', ('layers.0.ln1.weight', ), {}, POSE_HEADS, {**TINY, **SMALL_HAS_12},
           prefixes=('backbone.', ), without=('cls_token', ), padding=2, package='mmpretrain'),
    # Sapiens, too: before pose estimation with a class token, after it as MMPose ViTPose.
    Format('MMPose MAE or mmpretrain ViT', ('layers.0.ln1.weight', ), {},
           ('cls_token', *POSE_HEADS), HEADS, prefixes=('', 'backbone.'), package='mmpretrain'),
    Format('official ViTPose', ('blocks.0.norm1.weight', ), TIMM_NAMES, POSE_HEADS, SMALL_HAS_12,
           prefixes=('backbone.', ), without=('cls_token', ), add_class_row=True, padding=2),
    Format('MoCo-v3', ('blocks.0.norm1.weight', ), TIMM_NAMES,
           (*TIMM_REST, 'momentum_encoder.', 'predictor.'), SMALL_HAS_12,
           prefixes=('base_encoder.', ), package='timm'),
    # timm has GELU for most and GELU by tanh for others, such as SigLIP2's large at 512 pixels.
    Format('timm SigLIP', ('attn_pool.latent', ), TIMM_NAMES, (*TIMM_REST, 'attn_pool.'), HEADS,
           without=('norm_pre.weight', ), activations=('gelu', 'gelu_tanh'), package='timm'),
    # OpenAI's have quick-GELU, those of LAION and others GELU.
    Format('timm CLIP', ('norm_pre.weight', ), CLIP_NAMES, TIMM_REST, HEADS,
           needs=('cls_token', 'pos_embed', 'norm.weight'),
           without=('attn_pool.latent', 'blocks.0.gamma_1'), eps=1e-5,
           activations=('gelu', 'quick_gelu'), package='timm'),
    # ViTPose's authors have a small MAE with 12 heads; the official MAE has no small one.
    Format('official MAE with decoder', ('decoder_blocks.0.norm1.weight', ), TIMM_NAMES,
           TIMM_REST, HEADS, package='timm'),
    Format('official DINOv3', ('storage_tokens', ), TIMM_NAMES,
           (*TIMM_REST, 'storage_tokens', 'rope_embed.', 'projectors.', 'local_cls_norm.'),
           SMALL_HAS_6, needs=('blocks.0.norm1.weight', ), without=('pos_embed', ), eps=1e-5,
           rope=ROPE, package='timm'),
    # Without position embedding, with four registers: timm's other rotary ViTs are otherwise.
    Format('timm DINOv3', ('blocks.0.gamma_1', ), GAMMA_NAMES, TIMM_REST, SMALL_HAS_6,
           needs=('cls_token', 'reg_token', 'norm.bias'),
           without=('pos_embed', 'blocks.0.attn.qkv.bias'), eps=1e-5, rope=ROPE, package='timm'),
    Format('official DeiT-III', ('blocks.0.gamma_1', ), GAMMA_NAMES, TIMM_REST, SMALL_HAS_6,
           told=True, needs=('pos_embed', 'cls_token'), package='timm'),
    Format('official MAE or timm ViT', ('blocks.0.norm1.weight', ), TIMM_NAMES, TIMM_REST,
           SMALL_HAS_6, prefixes=('', 'backbone.'), package='timm'),
    Format('Hugging Face VitPose', ('encoder.layer.0.layernorm_before.weight', ),
           HUGGING_FACE_NAMES, POSE_HEADS, SMALL_HAS_12, prefixes=('backbone.', ),
           add_class_row=True, eps=1e-12, padding=2, package='transformers'),
    Format('Hugging Face ViT',
           ('encoder.layer.0.layernorm_before.weight', 'layers.0.layernorm_before.weight'),
           HUGGING_FACE_NAMES, HUGGING_FACE_REST, SMALL_HAS_6,
           prefixes=('', 'vit.', 'deit.', 'ijepa.'), eps=1e-12, package='transformers'),
    Format('Hugging Face Dinov2', ('encoder.layer.0.norm1.weight', ), HUGGING_FACE_NAMES,
           HUGGING_FACE_REST, SMALL_HAS_6, prefixes=('', 'dinov2.', 'dinov2_with_registers.'),
           package='transformers'),
    Format('Hugging Face DINOv3', ('layer.0.norm1.weight', 'model.layer.0.norm1.weight'),
           DINOV3_NAMES, HUGGING_FACE_REST, SMALL_HAS_6, eps=1e-5, rope=ROPE,
           package='transformers'),
)
# Names that our encoder has: what a rule made of a file's keys is not asked for its parts.
FITTING = re.compile(r'layers\.\d+\.((ln[12]|attn\.(qkv|proj)|ffn\.layers\.(0\.0|1))\.(weight|bias)'
                     r'|ls[12])|(pre_norm|ln1|patch_embed\.projection)\.(weight|bias)|pos_embed')
# Parts that our encoder lacks: a pattern in a key, and what it belongs to.
REFUSED = (
    (r'\.[qk]_norm\.', 'normalised queries and keys (Sapiens2)'),
    (r'rms_norm', 'RMSNorm'),
    (r'(mlp|ffn)\.(w\d+|fc1_[gx]|fc3|weights_(in|out)|gate_proj)\.',
     'a gated feed-forward network (SwiGLU)'),
    (r'rope|rotary|bias_mask|storage_tokens|mlp\.(up|down)_proj\.',
     "rotary position embedding of another kind than DINOv3's"),
    (r'\.gamma_[12]$', 'LayerScale, under names that DeiT-III shares with rotary encoders; for '
     "the official file of DeiT-III say --format 'official DeiT-III', timm's has ls1.gamma"),
    (r'\.[qv]_bias$', 'attention without a bias of the keys (BEiT, EVA-02)'),
    (r'\.(attn|mlp)\.norm\.|inner_attn_ln|ffn_ln', 'LayerNorms inside of the branches (BEiT-3)'),
    (r'rel_pos_[hw]|relative_position_bias', 'relative position bias'),
    (r'norm_pre\.|ln_pre\.|pre_layrnorm\.',
     "a LayerNorm before the blocks, with more that differs (PE); of CLIP, timm's file loads"),
    (r'\.self_attn\.', "CLIP's or SigLIP's names of Hugging Face; timm's file loads"),
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


def recognise(weights: dict[str, Tensor], source: str,
              told: str | None = None) -> tuple[Format, str]:
    """The format of a checkpoint and the prefix of its encoder, by the keys.

    Args:
        weights: The checkpoint's tensors.
        source: How error messages call it.
        told: Name of its format, for keys that several have.

    Raises:
        ValueError: If no known format has such keys, or not the one that was told.
    """
    names = list(dict.fromkeys(candidate.name for candidate in FORMATS))
    if told not in (None, *names):
        raise ValueError(f'format must be one of {", ".join(names)}, got {told!r}')
    for candidate in FORMATS:
        if candidate.name == told if told else not candidate.told:
            for prefix in candidate.prefixes:
                if candidate.fits(weights, prefix):
                    return candidate, prefix
    require_plain({key: key for key in weights}, source)
    wanted = (f'not of the format {told}' if told else
              f'none of the known formats ({", ".join(names)})')
    raise ValueError(f'{source} is {wanted}; its keys are {summary(weights)}')


def require_plain(keys: dict[str, str], source: str) -> None:
    """Check that an encoder has no parts that ours lacks.

    Args:
        keys: Key of the file -> name in our encoder, or the key itself.
        source: How the error calls the file.

    Raises:
        ValueError: If it has; names the key and the part.
    """
    for pattern, part in REFUSED:
        for key, name in keys.items():
            if not FITTING.fullmatch(name) and re.search(pattern, key):
                raise ValueError(f'{source} does not fit this encoder: {key} belongs to {part}')


def summary(keys: Iterable[str]) -> str:
    """Keys with numbers as stars, each pattern once: `layers.*.ln1.weight (12)`."""
    counts: dict[str, int] = {}
    for key in keys:
        pattern = re.sub(r'\.\d+(?=\.|$)', '.*', key)
        counts[pattern] = counts.get(pattern, 0) + 1
    names = [name if count == 1 else f'{name} ({count})' for name, count in counts.items()]
    return ', '.join(names[:8]) + (f' and {len(names) - 8} more' if names[8:] else '')
