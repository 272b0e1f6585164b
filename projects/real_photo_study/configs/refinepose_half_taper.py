"""refinepose_half whose decoder narrows once more, so that it mirrors the stem."""
_base_ = './refinepose_half.py'

model = dict(head=dict(channel_match='taper'))
