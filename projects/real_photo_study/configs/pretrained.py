"""The encoder starts from a trained ViTPose; stem and head start fresh, as in the COCO configs."""
_base_ = './refinepose_warmup_500.py'

model = dict(backbone=dict(init_cfg=dict(
    _delete_=True,
    type='EncoderWeights',
    checkpoint='work_dirs/real_photo_study/{{$STUDY_SCALE:cpu}}_vitpose.pth')))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=.75))
