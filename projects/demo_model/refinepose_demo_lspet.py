"""The demonstration model: a small RefinePose on all of LSP-Extended, 128x128, from scratch.

LSPET_ROOT has, besides what projects/lspet needs, lspet_more.json and more/: persons of whom at
least 8 of the 14 joints are annotated.
"""
_base_ = [
    '../../configs/_base_/runtime.py', '../../configs/_base_/refinepose_vitb.py',
    '../lspet/_base_/lspet.py'
]

codec = dict(type='BatchedUDPHeatmap', input_size=(128, 128), heatmap_size=(32, 32), sigma=1.5)
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=128, num_layers=8, num_heads=4, feedforward_channels=512),
        img_size=(128, 128),
        drop_path_rate=0.,
        init_cfg=None),
    head=dict(in_channels=128, out_channels=14, channel_match='taper', decoder=codec))

sizes = dict(
    TopdownAffine=dict(input_size=codec['input_size']), GenerateTarget=dict(encoder=codec))
train_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.train_pipeline]
val_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.val_pipeline]
part = dict(
    type='CocoDataset',
    data_root=_base_.data_root,
    data_mode='topdown',
    metainfo=_base_.metainfo,
    pipeline=[])
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    dataset=dict(
        _delete_=True,
        type='CombinedDataset',
        metainfo=_base_.metainfo,
        datasets=[
            dict(part, ann_file='lspet_train.json', data_prefix=dict(img='train/')),
            dict(part, ann_file='lspet_more.json', data_prefix=dict(img='more/')),
        ],
        pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(
    type='BFloat16OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-3, weight_decay=.1),
    constructor='LayerWiseLRConstructor',
    paramwise_cfg=dict(layer_decay_rate=1.),  # from scratch, every layer has everything to learn
    clip_grad=dict(max_norm=1., norm_type=2))
EPOCHS, DECAY = 48, 31  # the rate is constant until DECAY: any checkpoint before it can go on
train_cfg = dict(by_epoch=True, max_epochs=EPOCHS, val_interval=2)
val_cfg = dict()
test_cfg = dict()
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=.01, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=DECAY,
        end=EPOCHS,
        eta_min=0,
        by_epoch=True,
        convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=1))
randomness = dict(seed=0)
