"""Three times the epochs of the cpu scale: does what holds after 12 hold when trained longer?"""
_base_ = './cpu.py'

train_cfg = dict(max_epochs=36, val_interval=6)
default_hooks = dict(checkpoint=dict(interval=6))
