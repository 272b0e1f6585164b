"""pretrained_gated from the ViTPose of the rows transplant_*, which has seen other photos."""
_base_ = './pretrained_gated.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/real_photo_study/{{$STUDY_SCALE:cpu}}_vitpose_more.pth')))
train_cfg = dict(val_interval=1)
