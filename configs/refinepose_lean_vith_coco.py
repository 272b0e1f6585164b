"""RefinePose-H at ViTPose-H's cost, 256x192: `taper` and 28 of 32 blocks; not in the paper."""
_base_ = './refinepose_vith_coco.py'

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=1280, num_layers=28, num_heads=16, feedforward_channels=5120),
        init_cfg=dict(first_blocks=True)),
    head=dict(channel_match='taper'))
