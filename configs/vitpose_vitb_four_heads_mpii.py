"""ViTPose-B on four data sets, a head for each, 256x192: Table 2's 93.4."""
_base_ = ['./refinepose_vitb_four_heads_mpii.py', '_base_/vitpose.py']

model = _base_.vitpose.model
