"""Ours: shortcuts with learned gates from 0, so that pretrained weights start undisturbed."""
_base_ = '../../configs/refinepose_vitb_coco.py'

model = dict(backbone=dict(shortcut='gated'))
