"""ViTPose-B on four data sets, as MPII's 16 joints: Table 2. The paper reports PCKh 93.4."""
_base_ = ['./refinepose_vitb_four_datasets_mpii.py', '_base_/vitpose.py']

model = _base_.vitpose.model
