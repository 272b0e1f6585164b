"""Table 5, row 1: no shortcuts."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(backbone=dict(shortcut='none'))
