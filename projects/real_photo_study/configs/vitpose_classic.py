"""ViTPose with its classic head: two deconvolutions, 256 wide, or as wide as narrower tokens."""
_base_ = ['../_base_/{{$STUDY_SCALE:cpu}}.py', '../../../configs/_base_/vitpose.py']

width = min(256, _base_.model.head.in_channels)
# MMPose's head cannot turn bf16 heatmaps into numpy arrays; ours returns float32.
in_bf16 = _base_.optim_wrapper.get('type') == 'AmpOptimWrapper'
model = dict(
    _base_.vitpose.model,
    head=dict(
        _base_.vitpose.model.head,
        type='Float32HeatmapHead' if in_bf16 else 'HeatmapHead',
        deconv_out_channels=(width, width)))
