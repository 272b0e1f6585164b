"""RefinePose-B on MPII, 256x256: Table 2. The paper reports a mean PCKh@0.5 of 93.6."""
_base_ = [
    '_base_/runtime.py', '_base_/schedule_310e.py', '_base_/refinepose_vitb.py', '_base_/mpii.py'
]

model = dict(
    backbone=dict(img_size=(256, 256)), head=dict(out_channels=16, decoder=_base_.codec))
default_hooks = dict(checkpoint=dict(save_best='PCK', rule='greater'))
