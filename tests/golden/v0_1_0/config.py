"""A very small RefinePose that trains for an epoch; complete, so that configs/ may change."""
custom_imports = dict(imports=['refinepose_mm'], allow_failed_imports=False)
default_scope = 'mmpose'
codec = dict(type='BatchedUDPHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=1.)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='ShortcutViT', img_size=(64, 48),
        arch=dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32)),
    head=dict(type='FusionHead', in_channels=16, out_channels=17, decoder=codec),
    test_cfg=dict(flip_test=True, flip_mode='heatmap'))

data_root = 'data/toy'
dataset_type = 'CocoDataset'
data_mode = 'topdown'
pipeline = [
    dict(type='LoadCompleteImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type, data_root=data_root, data_mode=data_mode,
        ann_file='annotations/person_keypoints_train.json', data_prefix=dict(img='train/'),
        pipeline=[*pipeline, dict(type='GenerateTarget', encoder=codec),
                  dict(type='PackPoseInputs')]))
test_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type=dataset_type, data_root=data_root, data_mode=data_mode,
        ann_file='annotations/person_keypoints_val.json', data_prefix=dict(img='val/'),
        test_mode=True, pipeline=[*pipeline, dict(type='PackPoseInputs')]))
test_evaluator = dict(
    type='CocoMetric', ann_file=f'{data_root}/annotations/person_keypoints_val.json')
test_cfg = dict()

train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    constructor='LayerWiseLRConstructor',
    paramwise_cfg=dict(layer_decay_rate=.75),
    clip_grad=dict(max_norm=1., norm_type=2))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0, by_epoch=True, convert_to_iter_based=True),
]
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=1),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=1),
    sampler_seed=dict(type='DistSamplerSeedHook'))
custom_hooks = [
    dict(type='EpochSeedHook'), dict(type='CompileNetworkHook'), dict(type='KeepMemoryHook'),
    dict(type='SyncBuffersHook')
]
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='PoseLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True, num_digits=6)
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0)
work_dir = 'work_dirs/golden'
