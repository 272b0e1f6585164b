"""From `refinepose transplant --head keep` on: RefinePose's stem before a ViTPose."""
_base_ = './stem_and_shortcut_classic.py'

model = dict(backbone=dict(shortcut='gated', init_cfg=[]))  # []: trained, but not by this
load_from = 'work_dirs/real_photo_study/{{$STUDY_SCALE:cpu}}_transplant_keep.pth'
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=.75))
param_scheduler = _base_.param_scheduler
param_scheduler[0]['end'] = 500
train_cfg = dict(val_interval=1)
