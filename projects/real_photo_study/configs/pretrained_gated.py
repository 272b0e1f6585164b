"""pretrained with gates that start at 0: the encoder starts as the function it was trained as."""
_base_ = './pretrained.py'

model = dict(backbone=dict(shortcut='gated'))
