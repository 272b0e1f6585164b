"""vitpose_classic at a learning rate of 5e-4."""
_base_ = './vitpose_classic.py'

optim_wrapper = dict(optimizer=dict(lr=5e-4))
