"""pretrained without shortcuts."""
_base_ = './pretrained.py'

model = dict(backbone=dict(shortcut='none'))
