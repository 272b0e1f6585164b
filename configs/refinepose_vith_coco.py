"""RefinePose-H on COCO, 256x192: Table 1. The paper reports val AP 79.3, AR 84.0."""
_base_ = ['./refinepose_vitb_coco.py', '_base_/encoder_huge.py']

model = _base_.encoder.model
optim_wrapper = _base_.encoder.optim_wrapper
