"""RefinePose-L at ViTPose-L's cost, 256x192: classic head, 20 of 24 blocks; not in the paper."""
_base_ = ['./refinepose_vitl_coco.py', '_base_/vitpose.py']

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=1024, num_layers=20, num_heads=16, feedforward_channels=4096),
        stem=dict(type='GradualEmbedding', position_stages=()),  # the classic head does not unpool
        init_cfg=dict(first_blocks=True)),
    head=_base_.vitpose.model.head)
