"""RefinePose-S at ViTPose-S's cost, 256x192: classic head, 10 of 12 blocks; not in the paper."""
_base_ = ['./refinepose_vits_coco.py', '_base_/vitpose.py']

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=384, num_layers=10, num_heads=12, feedforward_channels=1536),
        group_size=5,
        stem=dict(type='GradualEmbedding', position_stages=()),  # the classic head does not unpool
        init_cfg=dict(first_blocks=True)),
    head=_base_.vitpose.model.head)
