"""RefinePose's stem and shortcuts with ViTPose's simple head, which has one ReLU."""
_base_ = './vitpose_simple.py'

model = dict(backbone=dict(
    stem=dict(_delete_=True, type='GradualEmbedding'), shortcut='identity'))
