"""refinepose_taper with a quarter of the blocks less, which pays for the stem."""
_base_ = './refinepose_taper.py'

num_layers = _base_.model.backbone.arch.num_layers * 3 // 4
model = dict(backbone=dict(arch=dict(num_layers=num_layers), group_size=num_layers // 2))
