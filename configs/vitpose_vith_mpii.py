"""ViTPose-H on MPII alone, 256x256. Table 2's 94.1 was trained on four data sets."""
_base_ = './refinepose_vith_mpii.py'

model = dict(
    backbone=dict(stem=dict(type='PatchEmbedding'), shortcut='none'),
    head=dict(
        _delete_=True,
        type='HeatmapHead',
        in_channels=1280,
        out_channels=16,
        deconv_out_channels=(256, 256),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=_base_.codec))
