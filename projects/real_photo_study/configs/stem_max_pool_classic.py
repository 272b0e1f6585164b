"""Table 3's max-pooling alone as the stem, with shortcuts and the classic head."""
_base_ = './stem_and_shortcut_classic.py'

model = dict(backbone=dict(stem=dict(conv=False, aggregate=False)))
