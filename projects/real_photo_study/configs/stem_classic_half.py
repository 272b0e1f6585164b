"""stem_and_shortcut_classic with a head half as wide."""
_base_ = './stem_and_shortcut_classic.py'

width = _base_.model.head.deconv_out_channels[0] // 2
model = dict(head=dict(deconv_out_channels=(width, width)))
