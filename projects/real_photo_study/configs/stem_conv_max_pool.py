"""Table 3, row 3: both, without FeatureAggregation."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(backbone=dict(stem=dict(type='GradualEmbedding', aggregate=False)))
