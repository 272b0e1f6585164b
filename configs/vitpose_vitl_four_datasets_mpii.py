"""ViTPose-L on four data sets, as MPII's 16 joints: Table 2. The paper reports PCKh 93.9."""
_base_ = ['./vitpose_vitb_four_datasets_mpii.py', '_base_/encoder_large.py']

model = _base_.encoder.model
optim_wrapper = _base_.encoder.optim_wrapper
