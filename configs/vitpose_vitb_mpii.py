"""ViTPose-B on MPII alone, 256x256. Table 2's 93.4 was trained on four data sets."""
_base_ = ['./refinepose_vitb_mpii.py', '_base_/vitpose.py']

model = _base_.vitpose.model
