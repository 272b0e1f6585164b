"""What each model is, in one place: configs of RefinePose and of ViTPose, its baseline.

``MODELS.build(refinepose('base'))`` is the network of ``configs/refinepose_vitb_coco.py`` without
what only training needs.
"""

from __future__ import annotations

from .models.shortcut_vit import resolve_arch

# Blocks that a lean model keeps, 3/4 to 7/8 of them, and blocks per group.
LEAN = dict(tiny=(3, 3), small=(10, 5), base=(10, 5), large=(20, 4), huge=(28, 4))
VITPOSE_HEADS = ('classic', 'simple')
DECONV_CHANNELS = (256, 256)


def refinepose(arch: str | dict = 'base', img_size: tuple[int, int] = (256, 192),
               num_keypoints: int = 17, stem: dict | None = None, shortcut: str = 'identity',
               head: dict | None = None) -> dict:
    """RefinePose: gradual stem, shortcuts around groups of blocks, FusionHead.

    Args:
        arch: Encoder size, see :class:`~refinepose_mm.models.shortcut_vit.ShortcutViT`.
        img_size: Input height and width in pixels, multiples of 16.
        num_keypoints: K.
        stem: Further arguments of GradualEmbedding.
        shortcut: 'identity', 'gated' or 'none'.
        head: Further arguments of FusionHead.

    Returns:
        The config of a ``TopdownPoseEstimator``.
    """
    return _estimator(
        dict(type='ShortcutViT', arch=arch, img_size=img_size, shortcut=shortcut,
             stem=dict(type='GradualEmbedding', **(stem or {}))),
        dict(type='FusionHead', in_channels=resolve_arch(arch).embed_dims,
             out_channels=num_keypoints, **(head or {})))


def refinepose_lean(arch: str = 'base', img_size: tuple[int, int] = (256, 192),
                    num_keypoints: int = 17) -> dict:
    """RefinePose at ViTPose's cost: its stem and shortcuts, the classic head, fewer blocks.

    This is ours, not the paper's.

    Args:
        arch: Name of an encoder size.
        img_size: Input height and width in pixels, multiples of 16.
        num_keypoints: K.

    Returns:
        The config of a ``TopdownPoseEstimator``.

    Raises:
        ValueError: For an unknown name.
    """
    if arch not in LEAN:
        raise ValueError(f'arch must be one of {", ".join(LEAN)}, got {arch!r}')
    num_layers, group_size = LEAN[arch]
    widths = resolve_arch(arch)._replace(num_layers=num_layers).as_config()
    # The classic head does not unpool.
    config = refinepose(widths, img_size, num_keypoints, stem=dict(position_stages=()))
    config['backbone']['group_size'] = group_size
    return dict(config, head=vitpose(arch, img_size, num_keypoints)['head'])


def vitpose(arch: str | dict = 'base', img_size: tuple[int, int] = (256, 192),
            num_keypoints: int = 17, head: str = 'classic',
            deconv_channels: tuple[int, int] = DECONV_CHANNELS) -> dict:
    """ViTPose: one 16x16 patch embedding, no shortcuts, and MMPose's heatmap head.

    Args:
        arch: Encoder size.
        img_size: Input height and width in pixels, multiples of 16.
        num_keypoints: K.
        head: 'classic' (two deconvolutions) or 'simple' (ReLU, bilinear x4, one 3x3
            convolution).
        deconv_channels: Of the classic head.

    Returns:
        The config of a ``TopdownPoseEstimator``.

    Raises:
        ValueError: For an unknown head.
    """
    if head not in VITPOSE_HEADS:
        raise ValueError(f'head must be one of {", ".join(VITPOSE_HEADS)}, got {head!r}')
    classic = head == 'classic'
    config = _estimator(
        dict(type='ShortcutViT', arch=arch, img_size=img_size, shortcut='none',
             stem=dict(type='PatchEmbedding')),
        # The same as HeatmapHead in single precision, and usable under bf16.
        dict(type='Float32HeatmapHead', in_channels=resolve_arch(arch).embed_dims,
             out_channels=num_keypoints,
             deconv_out_channels=deconv_channels if classic else None,
             deconv_kernel_sizes=(4, 4) if classic else None,
             final_layer=dict(kernel_size=1) if classic else dict(kernel_size=3, padding=1)))
    if not classic:
        # It takes the feature map, which is the second field of PoseFeatures.
        config['neck'] = dict(
            type='FeatureMapProcessor', select_index=1, scale_factor=4., apply_relu=True)
    return config


def _estimator(backbone: dict, head: dict) -> dict:
    """The parts that both models share: ImageNet's normalisation, UDP codec, flip test."""
    height, width = backbone['img_size']
    codec = dict(type='BatchedUDPHeatmap', input_size=(width, height),
                 heatmap_size=(width // 4, height // 4))
    return dict(
        _scope_='mmpose',  # it builds without init_default_scope
        type='TopdownPoseEstimator',
        data_preprocessor=dict(
            type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
        backbone=backbone,
        head=dict(head, decoder=codec),
        test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False))
