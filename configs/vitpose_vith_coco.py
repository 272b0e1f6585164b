"""ViTPose-H in our schedule, 256x192: Table 1. The paper reports val AP 79.1, AR 84.1."""
_base_ = ['./refinepose_vith_coco.py', '_base_/vitpose.py']

model = _base_.vitpose.model
