"""ViTPose-L in our schedule, 256x192: Table 1. The paper reports val AP 78.3, AR 83.5."""
_base_ = ['./refinepose_vitl_coco.py', '_base_/vitpose.py']

model = _base_.vitpose.model
