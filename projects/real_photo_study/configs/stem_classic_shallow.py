"""stem_and_shortcut_classic with a quarter of the blocks less, which pays for the stem."""
_base_ = './stem_and_shortcut_classic.py'

width = _base_.model.head.in_channels
blocks, heads = (9, 12) if width == 384 else (6, 3)  # ViT-S, and the narrow model of the CPU
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=width, num_layers=blocks, num_heads=heads,
            feedforward_channels=4 * width),
        group_size=3))
