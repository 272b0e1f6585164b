"""stem_classic_half_pooling with a wider head: 3/4 of ViTPose's width."""
_base_ = './stem_classic_half_pooling.py'

width = _base_.model.head.deconv_out_channels[0] * 3 // 2
model = dict(head=dict(deconv_out_channels=(width, width)))
