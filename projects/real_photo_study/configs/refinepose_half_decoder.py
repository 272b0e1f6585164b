"""The decoder of refinepose_half with the paper's stem, whose positions do not fit it."""
_base_ = './refinepose.py'

model = dict(head=dict(channels=_base_.model.head.in_channels // 2, unpool=False))
