"""Table 3, row 2: downsampling by max-pooling alone. The paper reports AP 72.6, AR 78.3."""
_base_ = '../../configs/refinepose_vitb_coco.py'

model = dict(backbone=dict(stem=dict(type='GradualEmbedding', conv=False, aggregate=False)))
