"""Table 4, row 1, with a ReLU after each step; without it the decoder is linear."""
_base_ = './decoder_bilinear.py'

model = dict(head=dict(act_cfg=dict(type='ReLU')))
