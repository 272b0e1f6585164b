"""Change of a RefinePose config to ViTPose: plain patches, no shortcuts, the classic head.

The head keeps in_channels, out_channels and decoder of the config that is changed.
"""
vitpose = dict(
    model=dict(
        backbone=dict(stem=dict(type='PatchEmbedding'), shortcut='none'),
        head=dict(
            type='HeatmapHead',
            deconv_out_channels=(256, 256),
            deconv_kernel_sizes=(4, 4),
            loss=dict(type='KeypointMSELoss', use_target_weight=True))))
