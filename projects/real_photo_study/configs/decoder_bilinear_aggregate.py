"""Not in Table 4: FeatureAggregation without unpooling."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(head=dict(unpool=False))
