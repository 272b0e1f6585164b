"""ViTPose-B on four data sets, as MPII's 16 joints, 256x256; not in the paper.

Table 2's 93.4 is ViTPose's own: the same four data sets, but 256x192 and one head for each set.
"""
_base_ = ['./refinepose_vitb_four_datasets_mpii.py', '_base_/vitpose.py']

model = _base_.vitpose.model
