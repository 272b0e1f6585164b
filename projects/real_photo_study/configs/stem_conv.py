"""Table 3, row 1: downsampling by convolution alone; the decoder then only interpolates."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(
    backbone=dict(stem=dict(type='GradualEmbedding', max_pool=False, aggregate=False)),
    head=dict(unpool=False))
