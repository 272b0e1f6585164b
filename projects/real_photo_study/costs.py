"""Multiply-accumulates of cheaper forms at ViT-S to ViT-H, relative to ViTPose.

    python projects/real_photo_study/costs.py

256x192, 17 keypoints, counted as by `refinepose complexity`.
"""

from __future__ import annotations

import argparse

from refinepose_mm.complexity import count
from refinepose_mm.models.shortcut_vit import resolve_arch
from refinepose_mm.recipes import refinepose, refinepose_lean, vitpose

SIZE = (256, 192)
CLASSIC, WIDE, HALF = 256, 192, 128  # channels of the classic head's deconvolutions


def forms(arch: str) -> dict[str, dict]:
    """Configs at an encoder size, by the row of the study that has the same form."""
    width = resolve_arch(arch).embed_dims

    def stem_classic(channels: int, **stem: object) -> dict:
        config = refinepose(arch, SIZE, stem=stem)
        head = vitpose(arch, SIZE, deconv_channels=(channels, channels))['head']
        return dict(config, head=head)

    def early_conv(channels: int) -> dict:
        config = stem_classic(channels)
        config['backbone']['stem'] = dict(type='EarlyConvEmbedding')
        return config

    lean = refinepose_lean(arch, SIZE)  # 5/6 to 7/8 of the blocks; rows *_shallow have 3/4
    taper = refinepose(arch, SIZE, head=dict(channel_match='taper'))
    return {
        'refinepose': refinepose(arch, SIZE),
        'refinepose_taper': taper,
        'refinepose_taper_shallow': dict(taper, backbone=dict(
            lean['backbone'], stem=taper['backbone']['stem'])),
        'refinepose_half': refinepose(arch, SIZE, stem=dict(base_channels=width // 16),
                                      head=dict(channels=width // 2)),
        'stem_and_shortcut_classic': stem_classic(CLASSIC),
        'stem_classic_shallow': lean,
        'stem_max_pool_classic': stem_classic(CLASSIC, conv=False, aggregate=False),
        'stem_classic_half': stem_classic(HALF),
        'stem_classic_half_pooling': stem_classic(HALF, conv=False),
        'stem_classic_wide_pooling': stem_classic(WIDE, conv=False),
        'stem_classic_half_narrow': stem_classic(HALF, base_channels=width * 3 // 32),
        'early_conv_classic': early_conv(CLASSIC),
        'early_conv_classic_half': early_conv(HALF)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--arch', nargs='+', default=['small', 'base', 'large', 'huge'])
    args = parser.parse_args()
    ratios: dict[str, list[str]] = {}
    for arch in args.arch:
        _, reference = count(vitpose(arch, SIZE), SIZE)
        for name, config in forms(arch).items():
            _, macs = count(config, SIZE)
            ratios.setdefault(name, []).append(f'{macs / reference:.2f}')
    print(f'| form | {" | ".join(args.arch)} |\n|---{"|---" * len(args.arch)}|')
    for name, of_form in ratios.items():
        print(f'| `{name}` | {" | ".join(of_form)} |')


if __name__ == '__main__':
    main()
