"""RefinePose-lean-L on COCO, 256x192: stem and decoder half as wide; ours, not in the paper."""
_base_ = './refinepose_vitl_coco.py'

half = _base_.model.head.in_channels // 2
model = dict(
    backbone=dict(stem=dict(type='GradualEmbedding', base_channels=half // 8)),
    head=dict(channels=half))
