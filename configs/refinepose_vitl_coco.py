"""RefinePose-L on COCO, 256x192: Table 1. The paper reports val AP 78.5, AR 83.7."""
_base_ = ['./refinepose_vitb_coco.py', '_base_/encoder_large.py']

model = _base_.encoder.model
optim_wrapper = _base_.encoder.optim_wrapper
