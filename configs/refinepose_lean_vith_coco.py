"""RefinePose-H at ViTPose-H's cost, 256x192: classic head, 28 of 32 blocks; not in the paper."""
_base_ = ['./refinepose_vith_coco.py', '_base_/vitpose.py']

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=1280, num_layers=28, num_heads=16, feedforward_channels=5120),
        stem=dict(type='GradualEmbedding', position_stages=()),  # the classic head does not unpool
        init_cfg=dict(first_blocks=True)),
    head=_base_.vitpose.model.head)
