"""The control: a plain ViT with early convolutions as its stem and the classic head."""
_base_ = './vitpose_classic.py'

model = dict(backbone=dict(stem=dict(_delete_=True, type='EarlyConvEmbedding')))
