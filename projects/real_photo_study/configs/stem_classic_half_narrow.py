"""stem_classic_half with a stem of 3/4 of its width."""
_base_ = './stem_classic_half.py'

base_channels = _base_.model.head.in_channels * 3 // 32
model = dict(backbone=dict(stem=dict(base_channels=base_channels)))
