"""Table 3, row 3: convolution and max-pooling, without FeatureAggregation."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(backbone=dict(stem=dict(type='GradualEmbedding', aggregate=False)))
