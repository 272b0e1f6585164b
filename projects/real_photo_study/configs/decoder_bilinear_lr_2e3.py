"""decoder_bilinear at a learning rate of 2e-3; at 5e-3 it hardly leaves the empty heatmap."""
_base_ = './decoder_bilinear.py'

optim_wrapper = dict(optimizer=dict(lr=2e-3))
