"""The embedded default: a tiny RefinePose learns toy people in minutes on a CPU."""
_base_ = [
    '_base_/runtime.py', '_base_/schedule_cpu.py', '_base_/refinepose_tiny.py', '_base_/toy.py'
]

model = dict(head=dict(decoder=_base_.codec))
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(interval=1, save_best='coco/AP', rule='greater'))
randomness = dict(seed=0)
