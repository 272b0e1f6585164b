"""decoder_bilinear_unpool at 2e-3, as 5e-3 hardly leaves the empty heatmap."""
_base_ = './decoder_bilinear_unpool.py'

optim_wrapper = dict(optimizer=dict(lr=2e-3))
