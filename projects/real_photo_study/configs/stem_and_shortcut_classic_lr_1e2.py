"""stem_and_shortcut_classic at a learning rate of 1e-2."""
_base_ = './stem_and_shortcut_classic.py'

optim_wrapper = dict(optimizer=dict(lr=1e-2))
