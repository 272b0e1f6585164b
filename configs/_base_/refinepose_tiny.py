"""A RefinePose small enough to train on two CPU cores, at 128x96."""
_base_ = './refinepose_vitb.py'

model = dict(
    backbone=dict(arch='tiny', img_size=(128, 96), drop_path_rate=0., init_cfg=None),
    head=dict(in_channels=128))
