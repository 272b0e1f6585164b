"""Ours: the decoder narrows to D/2 channels, so that each has its own pool positions."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(head=dict(channel_match='taper'))
