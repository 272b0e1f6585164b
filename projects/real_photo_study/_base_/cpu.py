"""The study on two CPU cores: 8 blocks 96 wide, 96x96, from scratch."""
_base_ = './study.py'

codec = dict(type='BatchedUDPHeatmap', input_size=(96, 96), heatmap_size=(24, 24), sigma=1.5)
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=96, num_layers=8, num_heads=3, feedforward_channels=384),
        img_size=(96, 96),
        drop_path_rate=0.),
    head=dict(in_channels=96, decoder=codec))

sizes = dict(
    TopdownAffine=dict(input_size=codec['input_size']), GenerateTarget=dict(encoder=codec))
train_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.train_pipeline]
val_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.val_pipeline]
train_dataloader = dict(batch_size=32, num_workers=0, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

# The best of four rates for ViTPose. At 1e-2 the loss of one RefinePose seed of three jumps: rows
# *@lr=* of the table.
optim_wrapper = dict(optimizer=dict(lr=5e-3))
train_cfg = dict(by_epoch=True, max_epochs=12, val_interval=2)
param_scheduler = [
    # Too short for some seeds (column jumps of the table); most records were made with it.
    dict(type='LinearLR', begin=0, end=200, start_factor=.01, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0, by_epoch=True, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=2))
