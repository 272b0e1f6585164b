"""A stem and a decoder half as wide: positions and channels fit as in the paper's form."""
_base_ = './refinepose.py'

half = _base_.model.head.in_channels // 2
model = dict(
    backbone=dict(stem=dict(type='GradualEmbedding', base_channels=half // 8)),
    head=dict(channels=half))
