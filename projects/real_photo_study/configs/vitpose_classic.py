"""ViTPose with its classic head: two deconvolutions, 256 wide, or as wide as narrower tokens."""
_base_ = '../_base_/{{$STUDY_SCALE:cpu}}.py'

width = min(256, _base_.model.head.in_channels)
# MMPose's head cannot turn bf16 heatmaps into numpy arrays; ours returns float32.
in_bf16 = _base_.optim_wrapper.get('type') == 'AmpOptimWrapper'
model = dict(
    backbone=dict(stem=dict(type='PatchEmbedding'), shortcut='none'),
    head=dict(
        _delete_=True,
        type='Float32HeatmapHead' if in_bf16 else 'HeatmapHead',
        in_channels=_base_.model.head.in_channels,
        out_channels=14,
        deconv_out_channels=(width, width),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=_base_.codec))
