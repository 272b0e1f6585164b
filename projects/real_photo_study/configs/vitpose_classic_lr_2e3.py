"""vitpose_classic at a learning rate of 2e-3."""
_base_ = './vitpose_classic.py'

optim_wrapper = dict(optimizer=dict(lr=2e-3))
