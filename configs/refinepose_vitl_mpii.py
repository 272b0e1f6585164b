"""RefinePose-L on MPII, 256x256: Table 2. The paper reports a mean PCKh@0.5 of 94.1."""
_base_ = ['./refinepose_vitb_mpii.py', '_base_/encoder_large.py']

model = _base_.encoder.model
optim_wrapper = _base_.encoder.optim_wrapper
