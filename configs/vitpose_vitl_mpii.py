"""ViTPose-L on MPII alone, 256x256. Table 2's 93.9 was trained on four data sets."""
_base_ = ['./refinepose_vitl_mpii.py', '_base_/vitpose.py']

model = _base_.vitpose.model
