"""ViTPose-H in our schedule, 256x192: Table 1. The paper reports val AP 79.1, AR 84.1."""
_base_ = './refinepose_vith_coco.py'

model = dict(
    backbone=dict(stem=dict(type='PatchEmbedding'), shortcut='none'),
    head=dict(
        _delete_=True,
        type='HeatmapHead',
        in_channels=1280,
        out_channels=17,
        deconv_out_channels=(256, 256),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=_base_.codec))
