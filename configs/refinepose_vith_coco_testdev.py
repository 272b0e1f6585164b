"""RefinePose-H on COCO test-dev: Table 1. The paper reports AP 78.4, AR 83.3."""
_base_ = ['./refinepose_vith_coco.py', '_base_/coco_testdev.py']

test_dataloader = _base_.coco_testdev.test_dataloader
test_evaluator = _base_.coco_testdev.test_evaluator
