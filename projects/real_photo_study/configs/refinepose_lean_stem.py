"""The stem of RefinePose-lean with the paper's decoder."""
_base_ = './refinepose.py'

model = dict(
    backbone=dict(
        stem=dict(type='GradualEmbedding', base_channels=_base_.model.head.in_channels // 16)))
