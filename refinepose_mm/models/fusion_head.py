"""FusionHead: token map and pool positions become heatmaps (sec. 3.2, Eq. 11-13)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch.nn.functional as F
from mmcv.cnn import ConvModule, build_activation_layer
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..ops.person_by_person import person_by_person
from ..ops.pool_positions import max_unpool_by_positions
from ..ops.recompute import Recomputes, recompute, set_recompute
from .feature_aggregation import FeatureAggregation
from .features import PoseFeatures

NUM_STEPS = 2
CHANNEL_MATCHES = ('repeat', 'taper')


class MaxUnpool(nn.Module):
    """MaxUnpool(x) of Eq. 11: each value returns to where its window had the maximum.

    Shapes: (B, R * C, h, w) and positions (B, C, h, w) -> (B, R * C, 2h, 2w).
    """

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        return max_unpool_by_positions(x, positions)


class UpSample(nn.Module, Recomputes):
    """FA(FA(MaxUnpool(x) + Bilinear(x))), Eq. 11; doubles height and width.

    Args:
        in_channels: Channels of the input map.
        out_channels: Channels after the first FeatureAggregation.
        unpool: Add the unpooled map to the interpolated one (Table 4).
        aggregate: Apply the two FeatureAggregations, each with its own weights (Table 4).
        norm_cfg: Normalisation of the FeatureAggregations.
        act_cfg: Activation of a step without FeatureAggregations. Default: none.

    Shapes: (B, in_channels, h, w) and positions (B, C, h, w) -> (B, out_channels, 2h, 2w).
    """

    def __init__(self, in_channels: int, out_channels: int, unpool: bool, aggregate: bool,
                 norm_cfg: dict, act_cfg: dict | None = None):
        super().__init__()
        self.unpool = MaxUnpool() if unpool else None
        self.activate = build_activation_layer(act_cfg) if act_cfg else nn.Identity()
        self.aggregate = nn.Sequential()
        if aggregate:
            self.aggregate.extend([
                FeatureAggregation(in_channels, out_channels, norm_cfg),
                FeatureAggregation(out_channels, out_channels, norm_cfg)])

    def forward(self, x: Tensor, positions: Tensor | None) -> Tensor:
        if not self.aggregate:
            return self.activate(self._enlarge(x, positions))
        first, second = cast('Iterable[FeatureAggregation]', self.aggregate)
        x = recompute(lambda x, positions: first.convolve(self._enlarge(x, positions)),
                      x, positions, wanted=self.recomputes)
        return second(first.normalise(x))

    def _enlarge(self, x: Tensor, positions: Tensor | None) -> Tensor:
        """MaxUnpool(x) + Bilinear(x)."""
        enlarged = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
        if self.unpool is not None:
            enlarged += self.unpool(x, positions)  # in place: the map is large
        return enlarged


@MODELS.register_module()
class FusionHead(HeatmapHead):
    """The RefinePose decoder: two UpSample steps and a 3x3 convolution (Eq. 11-13).

    Loss, flip test and decoding are HeatmapHead's.

    The second step unpools with the positions of stem stage 3, which have D/2 channels where
    the paper's map has D; the paper does not say how. ``channel_match='repeat'`` keeps the
    paper's 64 x 48 x D map and lets channel k use position channel ``k mod D/2``;
    ``channel_match='taper'`` is ours: the first step narrows to D/2, so that the decoder mirrors
    the stem and positions match one to one.

    ``channels`` is ours, too: a 1x1 convolution with BatchNorm and ReLU narrows the tokens before
    the first step, at a sixteenth of the last map's pixels.

    Args:
        in_channels: Channels D of the feature map.
        out_channels: Number of keypoints K.
        unpool: Add max-unpooling to the interpolation (Table 4). Needs a stem that max-pools.
        aggregate: Use FeatureAggregation (Table 4).
        channel_match: 'repeat' or 'taper', see above.
        norm_cfg: Normalisation of the FeatureAggregations.
        act_cfg: Activation that ends a step without FeatureAggregation. Default: none, which is
            Table 4 to the letter. Such a decoder is linear and hardly learns
            (projects/real_photo_study). Ignored with ``aggregate``.
        channels: Channels of the first step, a multiple of its positions'. Default: D, without
            that convolution.
        recompute: Compute cheap steps again in the backward pass instead of keeping enlarged maps
            and what depthwise convolutions make: less memory.
        loss: Config of the heatmap loss.
        decoder: Config of the codec that decodes heatmaps.
        init_cfg: Initialisation. Default: Kaiming, and std 1e-3 on the output convolution alone.

    Shapes: :class:`PoseFeatures` with a map (B, D, h, w) -> heatmaps (B, K, 4h, 4w), float32.

    Raises:
        ValueError: For an unknown ``channel_match``, for 'taper' without ``aggregate``, for
            ``channels`` below 1, and in the forward pass for features that do not fit.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 unpool: bool = True,
                 aggregate: bool = True,
                 channel_match: str = 'repeat',
                 norm_cfg: dict = dict(type='BN'),
                 act_cfg: dict | None = None,
                 channels: int | None = None,
                 recompute: bool = True,
                 loss: dict = dict(type='KeypointMSELoss', use_target_weight=True),
                 decoder: dict | None = None,
                 init_cfg: dict | list | None = None):
        if channel_match not in CHANNEL_MATCHES:
            raise ValueError(f'channel_match must be one of {", ".join(CHANNEL_MATCHES)}, '
                             f'got {channel_match!r}')
        taper = channel_match == 'taper'
        if taper and not aggregate:
            raise ValueError("channel_match='taper' narrows the map in FeatureAggregation and "
                             'needs aggregate=True, got aggregate=False')
        channels = in_channels if channels is None else channels
        if channels < 1:
            raise ValueError(f'channels must be at least 1, got {channels}')
        step_channels = channels // 2 if taper else channels
        super().__init__(
            step_channels,
            out_channels,
            deconv_out_channels=None,
            final_layer=dict(kernel_size=3, padding=1),  # Eq. 13
            loss=loss,
            decoder=decoder,
            init_cfg=init_cfg)
        self.in_channels = in_channels
        self.channels = channels
        self.unpool = unpool
        self.narrow = (nn.Identity() if channels == in_channels else ConvModule(
            in_channels, channels, kernel_size=1, norm_cfg=norm_cfg))
        self.up_samples = nn.ModuleList([
            UpSample(channels, step_channels, unpool, aggregate, norm_cfg, act_cfg),
            UpSample(step_channels, step_channels, unpool, aggregate, norm_cfg, act_cfg),
        ])
        set_recompute(self, recompute)

    @property
    def default_init_cfg(self) -> list[dict]:
        """Ours, because HeatmapHead's std 1e-3 on every convolution would start four
        FeatureAggregations deep at zero, and torch's default never leaves the empty heatmap."""
        return [
            dict(
                type='Kaiming',
                layer='Conv2d',
                mode='fan_in',
                override=dict(type='Normal', name='final_layer', std=1e-3)),
            dict(type='Constant', layer='_BatchNorm', val=1),
        ]

    def forward(self, feats: PoseFeatures) -> Tensor:
        """Decode features to heatmaps (B, K, 4h, 4w), in float32 also under autocast."""
        self._check(feats)
        return self._upsample(feats)

    def _values_per_person(self, feats: PoseFeatures) -> int:
        """Size of the last and largest map: C * 4h * 4w."""
        height, width = feats[-1].shape[2:]
        return self.final_layer.in_channels * 4**NUM_STEPS * height * width

    @person_by_person(_values_per_person)
    def _upsample(self, feats: PoseFeatures) -> Tensor:
        x = self.narrow(feats[-1])  # B,D,h,w
        # Coarse to fine: the last pooling of the stem is undone first.
        for step, up_sample in enumerate(self.up_samples):
            x = up_sample(x, feats.positions[-1 - step] if self.unpool else None)  # Eq. 12
        return self.final_layer(x).float()  # Eq. 13: B,K,4h,4w

    def _check(self, feats: PoseFeatures) -> None:
        """Refuse features that do not fit, with what was expected and what came."""
        batch, channels, height, width = feats[-1].shape
        if channels != self.in_channels:
            raise ValueError(f'FusionHead expects a feature map of {self.in_channels} channels, '
                             f'got {channels}')
        if not self.unpool:
            return
        positions = getattr(feats, 'positions', ())
        if not positions:
            raise ValueError(
                'FusionHead(unpool=True) needs the pool positions of a stem that max-pools, got '
                'none: use GradualEmbedding(max_pool=True) or FusionHead(unpool=False)')
        if len(positions) != NUM_STEPS:
            raise ValueError(f'FusionHead unpools {NUM_STEPS} times and expects as many position '
                             f'maps, got {len(positions)}')
        for step, (up_sample_input, got) in enumerate(
                zip((self.channels, self.final_layer.in_channels), reversed(positions))):
            size = (batch, height << step, width << step)
            if (got.shape[0], *got.shape[2:]) != size or up_sample_input % got.shape[1]:
                raise ValueError(
                    f'FusionHead step {step + 1} expects positions of {size[1]}x{size[2]} for a '
                    f'batch of {batch}, with channels that divide {up_sample_input}; '
                    f'got {tuple(got.shape)}')
