"""ViTPose-B on COCO test-dev: Table 1. The paper reports AP 75.1, AR 80.3."""
_base_ = ['./vitpose_vitb_coco.py', '_base_/coco_testdev.py']

test_dataloader = _base_.coco_testdev.test_dataloader
test_evaluator = _base_.coco_testdev.test_evaluator
