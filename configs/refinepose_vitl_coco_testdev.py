"""RefinePose-L on COCO test-dev: Table 1. The paper reports AP 77.5, AR 82.3."""
_base_ = ['./refinepose_vitl_coco.py', '_base_/coco_testdev.py']

test_dataloader = _base_.coco_testdev.test_dataloader
test_evaluator = _base_.coco_testdev.test_evaluator
