"""Table 4, row 2: with unpooling, without FeatureAggregation."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(head=dict(aggregate=False))
