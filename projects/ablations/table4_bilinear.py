"""Table 4, row 1: bilinear upsampling alone. The paper reports AP 74.2, AR 79.6."""
_base_ = '../../configs/refinepose_vitb_coco.py'

model = dict(head=dict(unpool=False, aggregate=False))
