"""RefinePose-B on COCO at 384x288; not in the paper. The encoder's position embedding adapts."""
_base_ = './refinepose_vitb_coco.py'

codec = dict(
    type='BatchedUDPHeatmap',
    input_size=(288, 384),
    heatmap_size=(72, 96),
    sigma=3,
    blur_kernel_size=17)
model = dict(backbone=dict(img_size=(384, 288)), head=dict(decoder=codec))

train_pipeline = _base_.train_pipeline
val_pipeline = _base_.val_pipeline
for step in train_pipeline + val_pipeline:
    if step['type'] == 'TopdownAffine':
        step['input_size'] = codec['input_size']
    if step['type'] == 'GenerateTarget':
        step['encoder'] = codec
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
