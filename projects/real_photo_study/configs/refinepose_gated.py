"""Shortcuts with learned gates from 0 (ours)."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(backbone=dict(shortcut='gated'))
