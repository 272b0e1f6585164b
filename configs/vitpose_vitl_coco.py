"""ViTPose-L in our schedule, 256x192: Table 1. The paper reports val AP 78.3, AR 83.5."""
_base_ = './refinepose_vitl_coco.py'

model = dict(
    backbone=dict(stem=dict(type='PatchEmbedding'), shortcut='none'),
    head=dict(
        _delete_=True,
        type='HeatmapHead',
        in_channels=1024,
        out_channels=17,
        deconv_out_channels=(256, 256),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=_base_.codec))
