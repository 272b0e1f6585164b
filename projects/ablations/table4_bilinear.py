"""Table 4, row 1: bilinear upsampling alone. The paper reports AP 74.2, AR 79.6."""
_base_ = './table4_bilinear_unpool.py'

model = dict(head=dict(unpool=False))
