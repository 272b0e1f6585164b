"""ViTPose-H on four data sets, as MPII's 16 joints, 256x256; not in the paper.

Table 2's 94.1 is ViTPose's own: the same four data sets, but 256x192 and one head for each set.
"""
_base_ = ['./vitpose_vitb_four_datasets_mpii.py', '_base_/encoder_huge.py']

model = _base_.encoder.model
optim_wrapper = _base_.encoder.optim_wrapper
