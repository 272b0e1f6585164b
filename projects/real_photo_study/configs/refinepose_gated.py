"""Ours: shortcuts with learned gates that start at 0."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(backbone=dict(shortcut='gated'))
