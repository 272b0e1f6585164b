"""refinepose at a learning rate of 2e-2."""
_base_ = './refinepose.py'

optim_wrapper = dict(optimizer=dict(lr=2e-2))
