"""Table 3, row 1: downsampling by convolution alone. The paper reports AP 73.1, AR 79.2.

Without pooling there are no positions to unpool by; the paper does not say what its decoder did.
"""
_base_ = '../../configs/refinepose_vitb_coco.py'

model = dict(
    backbone=dict(stem=dict(type='GradualEmbedding', max_pool=False, aggregate=False)),
    head=dict(unpool=False))
