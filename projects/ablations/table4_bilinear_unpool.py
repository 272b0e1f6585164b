"""Table 4, row 2: with unpooling, without aggregation. The paper reports AP 74.9, AR 80.1."""
_base_ = '../../configs/refinepose_vitb_coco.py'

# A ReLU after each step, which the paper does not mention: without one the decoder is linear and
# hardly learns (projects/real_photo_study, rows decoder_bilinear and decoder_bilinear_relu).
model = dict(head=dict(aggregate=False, act_cfg=dict(type='ReLU')))
