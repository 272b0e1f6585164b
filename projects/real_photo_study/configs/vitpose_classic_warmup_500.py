"""vitpose_classic with a warm-up of 500 steps, as ViTPose has it: 200 are too few for some seeds."""
_base_ = './vitpose_classic.py'

param_scheduler = _base_.param_scheduler
param_scheduler[0]['end'] = 500
