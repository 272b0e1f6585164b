"""ViTPose-H on COCO test-dev: Table 1. The paper reports AP 78.1, AR 83.1."""
_base_ = ['./vitpose_vith_coco.py', '_base_/coco_testdev.py']

test_dataloader = _base_.coco_testdev.test_dataloader
test_evaluator = _base_.coco_testdev.test_evaluator
