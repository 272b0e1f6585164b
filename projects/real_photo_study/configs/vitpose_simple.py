"""ViTPose with its simple head: ReLU, bilinear x4, one 3x3 convolution."""
_base_ = './vitpose_classic.py'

model = dict(
    # The map is the second field of the backbone's PoseFeatures.
    neck=dict(type='FeatureMapProcessor', select_index=1, scale_factor=4., apply_relu=True),
    head=dict(
        deconv_out_channels=[],
        deconv_kernel_sizes=[],
        final_layer=dict(kernel_size=3, padding=1)))
