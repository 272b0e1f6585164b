"""Table 3, row 2: max-pooling alone."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(backbone=dict(stem=dict(type='GradualEmbedding', conv=False, aggregate=False)))
