"""RefinePose-H on MPII, 256x256: Table 2. The paper reports a mean PCKh@0.5 of 94.2."""
_base_ = './refinepose_vitb_mpii.py'

model = dict(
    backbone=dict(
        arch='huge',
        drop_path_rate=0.55,
        with_cp=True,
        init_cfg=dict(checkpoint='https://download.openmmlab.com/mmpose/v1/pretrained_models/'
                      'mae_pretrain_vit_huge_20230913.pth')),
    head=dict(in_channels=1280))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
