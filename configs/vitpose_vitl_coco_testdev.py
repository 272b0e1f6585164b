"""ViTPose-L on COCO test-dev: Table 1. The paper reports AP 77.3, AR 82.4."""
_base_ = ['./refinepose_vitl_coco_testdev.py', '_base_/vitpose.py']

model = _base_.vitpose.model
