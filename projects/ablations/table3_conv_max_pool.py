"""Table 3, row 3: both, without FeatureAggregation. The paper reports AP 74.5, AR 80.2."""
_base_ = '../../configs/refinepose_vitb_coco.py'

model = dict(backbone=dict(stem=dict(type='GradualEmbedding', aggregate=False)))
