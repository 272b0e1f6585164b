"""No weight decay on the depthwise kernels of FeatureAggregation."""
_base_ = './refinepose.py'

optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(depthwise_conv=dict(decay_mult=0.))))
