"""ViTPose-B on four data sets, as MPII's 16 joints: Table 2. The paper reports PCKh 93.4."""
_base_ = './refinepose_vitb_four_datasets_mpii.py'

model = dict(
    backbone=dict(
        stem=dict(type='PatchEmbedding'),
        shortcut='none'),
    head=dict(
        _delete_=True,
        type='HeatmapHead',
        in_channels=768,
        out_channels=16,
        deconv_out_channels=(256, 256),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=_base_.codec))
