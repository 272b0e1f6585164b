"""Table 5, row 1: no shortcuts, on MPII. The paper reports a mean PCKh@0.5 of 93.2."""
_base_ = '../../configs/refinepose_vitb_mpii.py'

model = dict(backbone=dict(shortcut='none'))
