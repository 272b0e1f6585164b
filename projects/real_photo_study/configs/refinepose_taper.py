"""The decoder narrows to D/2, so that positions match one to one (ours)."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(head=dict(channel_match='taper'))
