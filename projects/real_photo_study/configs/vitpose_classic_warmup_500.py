"""vitpose_classic with a warm-up of 500 steps, which is that of ViTPose."""
_base_ = './vitpose_classic.py'

param_scheduler = _base_.param_scheduler
param_scheduler[0]['end'] = 500
