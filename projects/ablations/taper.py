"""Ours: the decoder narrows to D/2 in its first step, so that positions match one to one."""
_base_ = '../../configs/refinepose_vitb_coco.py'

model = dict(head=dict(channel_match='taper'))
