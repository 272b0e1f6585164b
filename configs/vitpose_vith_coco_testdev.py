"""ViTPose-H on COCO test-dev: Table 1. The paper reports AP 78.1, AR 83.1."""
_base_ = ['./refinepose_vith_coco_testdev.py', '_base_/vitpose.py']

model = _base_.vitpose.model
