"""ViTPose-B on COCO test-dev: Table 1. The paper reports AP 75.1, AR 80.3."""
_base_ = ['./refinepose_vitb_coco_testdev.py', '_base_/vitpose.py']

model = _base_.vitpose.model
