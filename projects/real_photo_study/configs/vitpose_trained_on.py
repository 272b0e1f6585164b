"""The ViTPose of the rows transplant_* itself, trained on."""
_base_ = './vitpose_classic.py'

model = dict(backbone=dict(init_cfg=[]))  # []: trained, but not by this
load_from = 'work_dirs/real_photo_study/{{$STUDY_SCALE:cpu}}_vitpose_more.pth'
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=.75))
param_scheduler = _base_.param_scheduler
param_scheduler[0]['end'] = 500
train_cfg = dict(val_interval=1)
