"""ViTPose-H on MPII alone, 256x256. Table 2's 94.1 was trained on four data sets."""
_base_ = ['./refinepose_vith_mpii.py', '_base_/vitpose.py']

model = _base_.vitpose.model
