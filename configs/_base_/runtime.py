"""What every run shares: registration, hooks, visualizer, environment."""
custom_imports = dict(imports=['refinepose_mm'], allow_failed_imports=False)
default_scope = 'mmpose'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='AtomicCheckpointHook', interval=10, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='PoseVisualizationHook', enable=False),
    # For `mim test --badcase` with ground-truth boxes: persons with a mean squared error of more
    # than 5 square pixels.
    badcase=dict(
        type='BadCaseAnalysisHook',
        enable=False,
        out_dir='badcase',
        metric_type='loss',
        metric=dict(type='KeypointMSELoss', use_target_weight=True),
        badcase_thr=5))
custom_hooks = [
    dict(type='PreflightHook'),  # what is wrong is said before the run starts
    dict(type='EpochSeedHook'),
    dict(type='FiniteLossHook'),  # action='skip' leaves out the step
    dict(type='CompileNetworkHook'),  # for --cfg-options compile=True
    dict(type='KeepMemoryHook'),  # faster steps on CPUs
    dict(type='SyncBuffersHook'),
]

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='PoseLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True, num_digits=6)
log_level = 'INFO'
backend_args = dict(backend='local')
load_from = None
resume = False
