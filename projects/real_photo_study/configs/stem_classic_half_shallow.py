"""stem_classic_half without shortcuts, and with a block less."""
_base_ = './stem_classic_half.py'

width = _base_.model.head.in_channels
blocks, heads = (11, 12) if width == 384 else (7, 3)  # ViT-S, and the narrow model of the CPU
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=width, num_layers=blocks, num_heads=heads,
            feedforward_channels=4 * width),
        shortcut='none'))
