"""refinepose at a learning rate of 5e-4."""
_base_ = './refinepose.py'

optim_wrapper = dict(optimizer=dict(lr=5e-4))
