"""BatchNorm averages its running statistics over about 50 batches instead of 10."""
_base_ = './refinepose.py'

norm_cfg = dict(type='BN', momentum=.02)
model = dict(
    backbone=dict(stem=dict(type='GradualEmbedding', norm_cfg=norm_cfg)),
    head=dict(norm_cfg=norm_cfg))
