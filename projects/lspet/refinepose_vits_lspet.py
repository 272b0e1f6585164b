"""RefinePose-S on LSP-Extended, 256x192, from an MAE-pretrained encoder."""
_base_ = [
    '../../configs/_base_/runtime.py', '../../configs/_base_/schedule_310e.py',
    '../../configs/_base_/refinepose_vitb.py', './_base_/lspet.py'
]

model = dict(
    backbone=dict(
        arch='small',
        drop_path_rate=0.1,
        init_cfg=dict(checkpoint='https://download.openmmlab.com/mmpose/v1/pretrained_models/'
                      'mae_pretrain_vit_small_20230913.pth')),
    head=dict(in_channels=384, out_channels=14, decoder=_base_.codec))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))
