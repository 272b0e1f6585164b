"""Small encoders with random weights, under the names of several sources."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from refinepose_mm.models import ShortcutViT

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
IMAGE_SIZE = (128, 96)  # 8x6 tokens
PLAIN = dict(stem=dict(type='PatchEmbedding'), shortcut='none')


def refinepose(arch=ARCH, img_size=IMAGE_SIZE, **options) -> ShortcutViT:
    return ShortcutViT(arch, img_size, **options)


def mmpretrain_names(prefix='', pos_rows=48, arch=ARCH) -> dict[str, Tensor]:
    """An encoder as MMPose's ViTPose and MAE checkpoints name it."""
    generator = torch.Generator().manual_seed(0)
    shapes = {name: value.shape for name, value in refinepose(arch, **PLAIN).state_dict().items()}
    width = shapes.pop('pos_embed')[-1]
    weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    weights['pos_embed'] = torch.randn(1, pos_rows, width, generator=generator)
    return {prefix + name: value for name, value in weights.items()}


def timm_names(prefix='', pos_rows=48, last_norm='norm', arch=ARCH) -> dict[str, Tensor]:
    """The same encoder as timm, official MAE and official ViTPose name it."""
    renamed = {}
    for name, value in mmpretrain_names(pos_rows=pos_rows, arch=arch).items():
        for ours, theirs in {
                'layers.0.0.': 'fc1.', 'ffn.layers.1.': 'ffn.fc2.', 'ffn.layers.': 'ffn.',
                'ffn.': 'mlp.', 'layers.': 'blocks.', '.ln1.': '.norm1.', '.ln2.': '.norm2.',
                'projection': 'proj'}.items():
            name = name.replace(ours, theirs)
        if name.startswith('ln1.'):
            name = name.replace('ln1', last_norm)
        renamed[prefix + name] = value
    return renamed


HUGGING_FACE = {  # ours: theirs, in files and in the memory of transformers 5
    'attn.q.': ('attention.attention.query.', 'attention.q_proj.'),
    'attn.k.': ('attention.attention.key.', 'attention.k_proj.'),
    'attn.v.': ('attention.attention.value.', 'attention.v_proj.'),
    'attn.proj.': ('attention.output.dense.', 'attention.o_proj.'),
    'ffn.layers.0.0.': ('intermediate.dense.', 'mlp.fc1.'),
    'ffn.layers.1.': ('output.dense.', 'mlp.fc2.'),
    '.ln1.': ('.layernorm_before.', '.layernorm_before.'),
    '.ln2.': ('.layernorm_after.', '.layernorm_after.'),
    'layers.': ('encoder.layer.', 'layers.'),
    'pos_embed': ('embeddings.position_embeddings', 'embeddings.position_embeddings'),
    'patch_embed.': ('embeddings.patch_embeddings.', 'embeddings.patch_embeddings.'),
}


def hugging_face_names(prefix='', pos_rows=48, in_memory=False, norms=None) -> dict[str, Tensor]:
    """The same encoder as transformers names it; `norms` replaces the names of the LayerNorms."""
    renamed = {}
    for name, value in mmpretrain_names(pos_rows=pos_rows).items():
        parts = {name: value}
        if '.attn.qkv.' in name:
            parts = {name.replace('qkv', letter): part
                     for letter, part in zip('qkv', value.chunk(3))}
        for part, value in parts.items():
            part = 'layernorm' + part[3:] if part.startswith('ln1.') else part
            for ours, theirs in HUGGING_FACE.items():
                part = part.replace(ours, theirs[in_memory])
            for theirs, other in (norms or {}).items():
                part = part.replace(theirs, other)
            renamed[prefix + part] = value
    return renamed


def reference(weights: dict[str, Tensor], image: Tensor, num_heads: int, padding: int) -> Tensor:
    """A plain ViT written out, without a class token, from weights with mmpretrain's names."""
    w = {name: value.double() for name, value in weights.items()}

    def norm(x, name):
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
        return (x - mean) / (variance + 1e-6).sqrt() * w[f'{name}.weight'] + w[f'{name}.bias']

    x = F.conv2d(image, w['patch_embed.projection.weight'], w['patch_embed.projection.bias'],
                 stride=16, padding=padding)
    grid = x.shape[-2:]
    x = x.flatten(2).transpose(1, 2) + w['pos_embed']
    for block in sorted({name.split('.')[1] for name in w if name.startswith('layers.')}, key=int):
        at = f'layers.{block}'
        y = norm(x, f'{at}.ln1') @ w[f'{at}.attn.qkv.weight'].T + w[f'{at}.attn.qkv.bias']
        queries, keys, values = y.chunk(3, dim=-1)
        outputs = []
        for q, k, v in zip(*(part.chunk(num_heads, dim=-1) for part in (queries, keys, values))):
            scores = q @ k.transpose(1, 2) / q.shape[-1]**.5
            outputs.append(scores.softmax(dim=-1) @ v)
        y = torch.cat(outputs, dim=-1)
        x = x + y @ w[f'{at}.attn.proj.weight'].T + w[f'{at}.attn.proj.bias']
        y = norm(x, f'{at}.ln2') @ w[f'{at}.ffn.layers.0.0.weight'].T
        y = y + w[f'{at}.ffn.layers.0.0.bias']
        y = y * (1 + torch.erf(y / 2**.5)) / 2
        x = x + y @ w[f'{at}.ffn.layers.1.weight'].T + w[f'{at}.ffn.layers.1.bias']
    return norm(x, 'ln1').transpose(1, 2).unflatten(2, grid)
