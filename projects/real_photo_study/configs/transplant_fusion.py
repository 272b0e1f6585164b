"""From `refinepose transplant --head fusion` on: RefinePose, with gates that start at 0."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

model = dict(backbone=dict(shortcut='gated', init_cfg=[]))  # []: trained, but not by this
load_from = 'work_dirs/real_photo_study/{{$STUDY_SCALE:cpu}}_transplant_fusion.pth'
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=.75))
param_scheduler = _base_.param_scheduler
param_scheduler[0]['end'] = 500
train_cfg = dict(val_interval=1)
