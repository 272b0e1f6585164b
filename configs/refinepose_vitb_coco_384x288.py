"""RefinePose-B on COCO at 384x288; not in the paper. The encoder's position embedding adapts."""
_base_ = './refinepose_vitb_coco.py'

codec = dict(
    type='BatchedUDPHeatmap',
    input_size=(288, 384),
    heatmap_size=(72, 96),
    sigma=3,
    blur_kernel_size=17)
model = dict(backbone=dict(img_size=(384, 288)), head=dict(decoder=codec))

sizes = dict(
    TopdownAffine=dict(input_size=codec['input_size']), GenerateTarget=dict(encoder=codec))
train_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.train_pipeline]
val_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.val_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
