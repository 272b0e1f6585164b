"""RefinePose-B on COCO, 256x192: Table 1. The paper reports val AP 75.9, AR 82.1."""
_base_ = [
    '_base_/runtime.py', '_base_/schedule_310e.py', '_base_/refinepose_vitb.py', '_base_/coco.py'
]

model = dict(head=dict(decoder=_base_.codec))
default_hooks = dict(checkpoint=dict(save_best='coco/AP', rule='greater'))
