"""RefinePose's stem and shortcuts with ViTPose's classic head."""
_base_ = './vitpose_classic.py'

model = dict(backbone=dict(
    stem=dict(_delete_=True, type='GradualEmbedding'), shortcut='identity'))
