"""Table 4, row 1: bilinear upsampling alone."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(head=dict(unpool=False, aggregate=False))
