"""The stem of refinepose_half with the paper's decoder."""
_base_ = './refinepose.py'

model = dict(
    backbone=dict(
        stem=dict(type='GradualEmbedding', base_channels=_base_.model.head.in_channels // 16)))
