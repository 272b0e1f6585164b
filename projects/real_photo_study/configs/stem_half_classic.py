"""stem_and_shortcut_classic with a stem half as wide; FinalConv widens to the tokens."""
_base_ = './stem_and_shortcut_classic.py'

model = dict(backbone=dict(stem=dict(base_channels=_base_.model.head.in_channels // 16)))
