"""RefinePose-B on AI Challenger, 256x192; not in the paper."""
_base_ = [
    '_base_/runtime.py', '_base_/schedule_310e.py', '_base_/refinepose_vitb.py',
    '_base_/aic.py'
]

model = dict(head=dict(out_channels=14, decoder=_base_.codec))
default_hooks = dict(checkpoint=dict(save_best='coco/AP', rule='greater'))
