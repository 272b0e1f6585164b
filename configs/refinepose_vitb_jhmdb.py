"""RefinePose-B on JHMDB, 256x256; not in the paper."""
_base_ = [
    '_base_/runtime.py', '_base_/schedule_310e.py', '_base_/refinepose_vitb.py',
    '_base_/jhmdb.py'
]

model = dict(
    backbone=dict(img_size=(256, 256)), head=dict(out_channels=15, decoder=_base_.codec))
default_hooks = dict(checkpoint=dict(save_best='tPCK', rule='greater'))
