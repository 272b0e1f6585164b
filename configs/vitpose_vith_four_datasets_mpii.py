"""ViTPose-H on four data sets, as MPII's 16 joints: Table 2. The paper reports PCKh 94.1."""
_base_ = ['./vitpose_vitb_four_datasets_mpii.py', '_base_/encoder_huge.py']

model = _base_.encoder.model
optim_wrapper = _base_.encoder.optim_wrapper
