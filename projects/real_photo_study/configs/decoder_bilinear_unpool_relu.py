"""Table 4, row 2, with a ReLU after each step."""
_base_ = './decoder_bilinear_unpool.py'

model = dict(head=dict(act_cfg=dict(type='ReLU')))
