"""Table 3, row 1: downsampling by convolution alone. The paper reports AP 73.1, AR 79.2.

Without pooling there are no positions to unpool by; the paper does not say what its decoder did.
Without FeatureAggregation this stem has no activation: it is linear, as ViTPose's patch embedding
is. Unlike the linear decoder of Table 4 it learns (projects/real_photo_study, row stem_conv), so
it is left as the paper describes it.
"""
_base_ = '../../configs/refinepose_vitb_coco.py'

model = dict(
    backbone=dict(stem=dict(type='GradualEmbedding', max_pool=False, aggregate=False)),
    head=dict(unpool=False))
