"""RefinePose-B on AP-10K, 256x256; not in the paper."""
_base_ = [
    '_base_/runtime.py', '_base_/schedule_310e.py', '_base_/refinepose_vitb.py',
    '_base_/ap10k.py'
]

model = dict(
    backbone=dict(img_size=(256, 256)), head=dict(out_channels=17, decoder=_base_.codec))
default_hooks = dict(checkpoint=dict(save_best='coco/AP', rule='greater'))
