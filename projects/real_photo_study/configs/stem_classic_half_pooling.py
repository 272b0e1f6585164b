"""stem_classic_half whose stem pools with FeatureAggregation, without 3x3 convolutions."""
_base_ = './stem_classic_half.py'

model = dict(backbone=dict(stem=dict(conv=False)))
