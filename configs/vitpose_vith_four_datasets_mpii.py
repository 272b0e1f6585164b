"""ViTPose-H on four data sets, as MPII's 16 joints: Table 2. The paper reports PCKh 94.1."""
_base_ = './refinepose_vitb_four_datasets_mpii.py'

model = dict(
    backbone=dict(
        arch='huge',
        drop_path_rate=0.55,
        with_cp=True,
        init_cfg=dict(checkpoint='https://download.openmmlab.com/mmpose/v1/pretrained_models/'
                      'mae_pretrain_vit_huge_20230913.pth'),
        stem=dict(type='PatchEmbedding'),
        shortcut='none'),
    head=dict(
        _delete_=True,
        type='HeatmapHead',
        in_channels=1280,
        out_channels=16,
        deconv_out_channels=(256, 256),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=_base_.codec))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
