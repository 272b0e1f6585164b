"""ShortcutViT: a plain vision transformer with a shortcut around groups of blocks (sec. 3.3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, initialize
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..ops.recompute import set_recompute
from .features import PoseFeatures
from .vit_layers import ACTIVATIONS, TransformerBlock, rotations

PATCH_SIZE = 16
SHORTCUTS = ('identity', 'gated', 'none')


class Arch(NamedTuple):
    """What an encoder is: its widths, and the parts in which families of ViTs differ.

    The defaults are ViTPose's and MAE's. The others let an encoder start as the function that it
    was trained as; `refinepose weights` says which ones a file needs.

    Attributes:
        embed_dims: Token width D.
        num_layers: Number of blocks.
        num_heads: Number of attention heads.
        feedforward_channels: Hidden width of the feed-forward networks.
        eps: Of the LayerNorms.
        activation: 'gelu', 'gelu_tanh' (SigLIP2) or 'quick_gelu' (CLIP).
        layer_scale: Scale each channel of a residual branch by a learned number (DINOv2, DeiT-III).
        pre_norm: LayerNorm before the first block (CLIP).
        rope: Rotary attention with this base, 100 for DINOv3; 0 for none. The position embedding
            then starts at 0.
    """

    embed_dims: int
    num_layers: int
    num_heads: int
    feedforward_channels: int
    eps: float = 1e-6
    activation: str = 'gelu'
    layer_scale: bool = False
    pre_norm: bool = False
    rope: float = 0.

    def as_config(self) -> dict:
        """As configs name it: the widths, and what is not the default."""
        return {name: value for name, value in self._asdict().items()
                if self._field_defaults.get(name) != value}


REQUIRED = tuple(name for name in Arch._fields if name not in Arch._field_defaults)
# Small, base, large and huge are MMPose's ViTPose (hence the 12 heads of small); tiny is for CPUs.
ARCHS = {
    'tiny': Arch(128, 4, 4, 512),
    'small': Arch(384, 12, 12, 1536),
    'base': Arch(768, 12, 12, 3072),
    'large': Arch(1024, 24, 16, 4096),
    'huge': Arch(1280, 32, 16, 5120),
}


def resolve_arch(arch: str | dict) -> Arch:
    """Look up an arch name, or read a dict with the fields of :class:`Arch`; four are required.

    Raises:
        ValueError: If the name is unknown, fields are missing, unknown or out of range, or the
            heads do not divide the width.
    """
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ValueError(f'unknown arch {arch!r}; known: {", ".join(ARCHS)}, or a dict with '
                             f'{", ".join(REQUIRED)}')
        return ARCHS[arch]
    if not set(REQUIRED) <= set(arch) <= set(Arch._fields):
        raise ValueError(f'an arch dict needs {", ".join(REQUIRED)}, and may have '
                         f'{", ".join(Arch._field_defaults)}; got {", ".join(arch)}')
    widths = Arch(**arch)
    if widths.embed_dims % widths.num_heads:
        raise ValueError(f'num_heads must divide embed_dims, got {widths.num_heads} heads for '
                         f'{widths.embed_dims} channels')
    if widths.activation not in ACTIVATIONS:
        raise ValueError(f'activation must be one of {", ".join(ACTIVATIONS)}, '
                         f'got {widths.activation!r}')
    if widths.rope and (widths.rope <= 1 or widths.embed_dims // widths.num_heads % 4):
        raise ValueError('rope must be 0 or above 1, with heads of a multiple of 4 channels; got '
                         f'{widths.rope} and {widths.embed_dims // widths.num_heads} channels')
    return widths


@MODELS.register_module()
class ShortcutViT(BaseModule):
    """The RefinePose backbone: stem, position embedding and transformer blocks in groups.

    Every ``group_size`` blocks form a group with a shortcut around it, ``x <- x + group(x)``
    (sec. 3.3). A final LayerNorm closes the encoder. Parameter names are mmpretrain's, so ViT
    weights converted for MMPose load as they are.

    Args:
        arch: One of 'tiny', 'small', 'base', 'large', 'huge', or a dict with ``embed_dims``,
            ``num_layers``, ``num_heads`` and ``feedforward_channels``, and what else
            :class:`Arch` names.
        img_size: Input height and width in pixels, multiples of 16. Other sizes that are
            multiples of 16 work too: the position embedding is interpolated to them.
        stem: Config of the stem, :class:`GradualEmbedding`, :class:`PatchEmbedding` or
            :class:`EarlyConvEmbedding`; ``embed_dims`` is filled in.
        shortcut: 'identity' is the paper's; 'none' is a plain ViT (Table 5). 'gated' is ours:
            ``g * x + group(x)`` with one learned g per group that starts at 0, so that
            pretrained ViT weights start as the function they were trained as.
        group_size: Blocks per group; divides the number of blocks.
        drop_path_rate: Stochastic depth of the last block; earlier ones rise linearly from 0.
        with_cp: Recompute each block in the backward pass instead of keeping its activations.
        recompute: Compute cheap steps again in the backward pass, activations and depthwise
            convolutions, instead of keeping what they make: less memory.
        init_cfg: Further initialisation, run after the default one (truncated normal .02 on
            linear layers).

    Shapes: (B, 3, H, W) -> :class:`PoseFeatures` with the stem's positions and a feature map
    (B, D, H/16, W/16).

    Raises:
        ValueError: For an unknown arch or shortcut, a depth that ``group_size`` does not divide,
            or an image size that is not a multiple of 16.
    """

    def __init__(self,
                 arch: str | dict = 'base',
                 img_size: tuple[int, int] = (256, 192),
                 stem: dict = dict(type='GradualEmbedding'),
                 shortcut: str = 'identity',
                 group_size: int = 4,
                 drop_path_rate: float = 0.,
                 with_cp: bool = False,
                 recompute: bool = True,
                 init_cfg: dict | list | None = None):
        super().__init__(dict(type='TruncNormal', layer='Linear', std=.02))
        self.further_init_cfg = init_cfg
        widths = resolve_arch(arch)
        if shortcut not in SHORTCUTS:
            raise ValueError(f'shortcut must be one of {", ".join(SHORTCUTS)}, got {shortcut!r}')
        if shortcut != 'none' and widths.num_layers % group_size:
            raise ValueError(f'group_size must divide the number of blocks, got groups of '
                             f'{group_size} for {widths.num_layers} blocks')
        _check_image_size(*img_size)
        self.arch = widths
        self.embed_dims = widths.embed_dims
        self.grid = (img_size[0] // PATCH_SIZE, img_size[1] // PATCH_SIZE)
        self.shortcut = shortcut
        self.group_size = group_size
        self.with_cp = with_cp

        # Called patch_embed, as in mmpretrain, so that ViTPose weights fit PatchEmbedding.
        self.patch_embed = MODELS.build(dict(stem, embed_dims=widths.embed_dims))
        self.pos_embed = nn.Parameter(
            torch.zeros(1, self.grid[0] * self.grid[1], widths.embed_dims))
        if not widths.rope:
            nn.init.trunc_normal_(self.pos_embed, std=.02)
        drop_path_rates = torch.linspace(0, drop_path_rate, widths.num_layers, device='cpu')
        self.layers = nn.ModuleList(
            TransformerBlock(widths.embed_dims, widths.num_heads, widths.feedforward_channels,
                             rate, widths.eps, widths.activation, widths.layer_scale)
            for rate in drop_path_rates.tolist())
        if shortcut == 'gated':
            self.gates = nn.Parameter(torch.zeros(widths.num_layers // group_size))
        if widths.pre_norm:  # mmpretrain's name
            self.pre_norm = nn.LayerNorm(widths.embed_dims, eps=widths.eps)
        self.ln1 = nn.LayerNorm(widths.embed_dims, eps=widths.eps)
        set_recompute(self, recompute)

    def init_weights(self) -> None:
        """Initialise everything, then load what `init_cfg` names over it."""
        already = self.is_init
        super().init_weights()
        # Here, and not through BaseModule: that would initialise the stem after loading it.
        if self.further_init_cfg and not already:
            initialize(self, self.further_init_cfg)

    def get_layer_depth(self, name: str) -> tuple[int, int]:
        """Depth of a parameter, for learning rates that decay towards the input.

        Args:
            name: Name of the parameter within the backbone, such as ``layers.3.ln1.weight``.

        Returns:
            The depth, 0 at the input, and the number of depths, which is the number of blocks
            plus 2. A freshly initialised GradualEmbedding and the gates count as the last
            depth: nothing in them was pretrained.
        """
        num_depths = len(self.layers) + 2
        if name.startswith(('pos_embed', 'patch_embed.projection', 'pre_norm')):
            return 0, num_depths
        if name.startswith('layers.'):
            return int(name.split('.')[1]) + 1, num_depths
        return num_depths - 1, num_depths

    def forward(self, image: Tensor) -> PoseFeatures:
        """Encode an image (B, 3, H, W); H and W are multiples of 16."""
        _check_image_size(*image.shape[-2:])
        positions, tokens = self.patch_embed(image)
        height, width = tokens.shape[-2:]
        x = tokens.flatten(2).transpose(1, 2)  # Eq. 6: B,D,h,w -> B,N,D
        x = x + self._pos_embed_for((height, width))
        if self.arch.pre_norm:
            x = self.pre_norm(x)
        turns = None
        if self.arch.rope:
            turns = rotations((height, width), self.embed_dims // self.arch.num_heads,
                              self.arch.rope, like=x)
        for index, group in enumerate(self._groups()):
            if self.shortcut == 'identity':
                x = x + self._run(group, x, turns)  # sec. 3.3
            elif self.shortcut == 'gated':
                x = self.gates[index] * x + self._run(group, x, turns)
            else:
                x = self._run(group, x, turns)
        x = self.ln1(x)
        x = x.transpose(1, 2).unflatten(2, (height, width))  # B,N,D -> B,D,h,w
        return PoseFeatures(positions, x)

    def _groups(self) -> list[list[nn.Module]]:
        """The blocks in groups of `group_size`; the last may be smaller without shortcuts."""
        blocks = list(self.layers)
        return [blocks[i:i + self.group_size] for i in range(0, len(blocks), self.group_size)]

    def _run(self, group: list[nn.Module], x: Tensor, turns: Tensor | None) -> Tensor:
        """Tokens (B, N, D) through the blocks of a group."""
        for block in group:
            if self.with_cp and self.training:
                x = checkpoint(block, x, turns, use_reentrant=False)
            else:
                x = block(x, turns)
        return x

    def _pos_embed_for(self, grid: tuple[int, int]) -> Tensor:
        """Position embedding (1, N, D) for a token grid, interpolated if it is another one."""
        if grid == self.grid:
            return self.pos_embed
        return resize_pos_embed(self.pos_embed, self.grid, grid)


def resize_pos_embed(pos_embed: Tensor, from_grid: tuple[int, int],
                     to_grid: tuple[int, int]) -> Tensor:
    """Interpolate a position embedding (bicubic) from one token grid (h, w) to another.

    Shapes: (1, h0 * w0, D) -> (1, h1 * w1, D).
    """
    as_map = pos_embed.transpose(1, 2).unflatten(2, from_grid)
    resized = F.interpolate(as_map.float(), size=to_grid, mode='bicubic', align_corners=False)
    return resized.to(pos_embed.dtype).flatten(2).transpose(1, 2)


def _check_image_size(height: int, width: int) -> None:
    if min(height, width) < PATCH_SIZE:
        raise ValueError(f'input must be at least {PATCH_SIZE}x{PATCH_SIZE}, got {height}x{width}')
    if height % PATCH_SIZE or width % PATCH_SIZE:
        raise ValueError(f'input must be divisible by {PATCH_SIZE}, got {height}x{width}')
