"""Three times the epochs of the cpu scale and a warm-up of 500 steps."""
_base_ = './cpu.py'

train_cfg = dict(max_epochs=36, val_interval=6)
param_scheduler = _base_.param_scheduler
param_scheduler[0]['end'] = 500
default_hooks = dict(checkpoint=dict(interval=6))
