"""The control of stem_classic_half*: early convolutions with a head half as wide."""
_base_ = './early_conv_classic.py'

width = _base_.model.head.deconv_out_channels[0] // 2
model = dict(head=dict(deconv_out_channels=(width, width)))
