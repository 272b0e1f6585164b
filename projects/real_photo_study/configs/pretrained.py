"""The encoder starts from a trained ViTPose; stem and head start from scratch."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(backbone=dict(init_cfg=dict(
    _delete_=True,
    type='EncoderWeights',
    checkpoint='work_dirs/real_photo_study/{{$STUDY_SCALE:cpu}}_vitpose.pth')))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=.75))
param_scheduler = _base_.param_scheduler
param_scheduler[0]['end'] = 500
