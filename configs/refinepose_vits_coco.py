"""RefinePose-S on COCO, 256x192; not in the paper. Encoder widths of MMPose's ViTPose-S."""
_base_ = ['./refinepose_vitb_coco.py', '_base_/encoder_small.py']

model = _base_.encoder.model
optim_wrapper = _base_.encoder.optim_wrapper
