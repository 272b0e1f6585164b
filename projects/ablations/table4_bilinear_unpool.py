"""Table 4, row 2: with unpooling, without aggregation. The paper reports AP 74.9, AR 80.1."""
_base_ = '../../configs/refinepose_vitb_coco.py'

model = dict(head=dict(aggregate=False))
