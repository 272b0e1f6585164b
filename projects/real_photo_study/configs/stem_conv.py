"""Table 3, row 1: convolution alone; without pool positions the decoder only interpolates."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(
    backbone=dict(stem=dict(type='GradualEmbedding', max_pool=False, aggregate=False)),
    head=dict(unpool=False))
