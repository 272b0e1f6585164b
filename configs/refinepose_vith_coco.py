"""RefinePose-H on COCO, 256x192: Table 1. The paper reports val AP 79.3, AR 84.0."""
_base_ = './refinepose_vitb_coco.py'

model = dict(
    backbone=dict(
        arch='huge',
        drop_path_rate=0.55,
        with_cp=True,
        init_cfg=dict(checkpoint='https://download.openmmlab.com/mmpose/v1/pretrained_models/'
                      'mae_pretrain_vit_huge_20230913.pth')),
    head=dict(in_channels=1280))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
