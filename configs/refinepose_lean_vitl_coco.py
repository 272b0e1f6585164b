"""RefinePose-L at ViTPose-L's cost, 256x192: `taper` and 20 of 24 blocks; not in the paper."""
_base_ = './refinepose_vitl_coco.py'

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=1024, num_layers=20, num_heads=16, feedforward_channels=4096),
        init_cfg=dict(first_blocks=True)),
    head=dict(channel_match='taper'))
