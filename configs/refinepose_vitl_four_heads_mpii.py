"""RefinePose-L on four data sets, a head for each, 256x192; tested on MPII. Not in the paper."""
_base_ = ['./refinepose_vitb_four_heads_mpii.py', '_base_/encoder_large.py']

model = _base_.encoder.model
optim_wrapper = _base_.encoder.optim_wrapper
