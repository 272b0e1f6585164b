"""ViTPose-B in our schedule, 256x192: Table 1. The paper reports val AP 75.8, AR 81.1."""
_base_ = ['./refinepose_vitb_coco.py', '_base_/vitpose.py']

model = _base_.vitpose.model
