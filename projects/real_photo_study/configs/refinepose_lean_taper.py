"""RefinePose-lean whose decoder narrows once more, so that it mirrors the stem."""
_base_ = './refinepose_lean.py'

model = dict(head=dict(channel_match='taper'))
