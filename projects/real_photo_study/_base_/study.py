"""What all runs of the study share: RefinePose on LSP-Extended, from scratch, equal schedules."""
_base_ = [
    '../../../configs/_base_/runtime.py', '../../../configs/_base_/refinepose_vitb.py',
    '../../lspet/_base_/lspet.py'
]

model = dict(
    backbone=dict(init_cfg=None), head=dict(out_channels=14, decoder=_base_.codec))

val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    optimizer=dict(type='AdamW', weight_decay=.1),
    constructor='LayerWiseLRConstructor',
    paramwise_cfg=dict(layer_decay_rate=1.),  # from scratch, every layer has everything to learn
    clip_grad=dict(max_norm=1., norm_type=2))
randomness = dict(seed=0)
