"""stem_classic_half with a stem of 3/4 of its width."""
_base_ = './stem_classic_half.py'

model = dict(
    backbone=dict(stem=dict(base_channels=_base_.model.backbone.arch.embed_dims * 3 // 32)))
