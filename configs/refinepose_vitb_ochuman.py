"""RefinePose-B of COCO tested on OCHuman, which has no training set; not in the paper."""
_base_ = ['./refinepose_vitb_coco.py', '_base_/ochuman.py']

test_dataloader = _base_.ochuman.test_dataloader
test_evaluator = _base_.ochuman.test_evaluator
