"""A few minutes of AdamW on a CPU: short warm-up, then a cosine down to zero."""
train_cfg = dict(by_epoch=True, max_epochs=7, val_interval=1)
val_cfg = dict()
test_cfg = dict()

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.05),
    constructor='LayerWiseLRConstructor',
    paramwise_cfg=dict(layer_decay_rate=1.),  # from scratch, every layer has everything to learn
    clip_grad=dict(max_norm=1., norm_type=2))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0, by_epoch=True, convert_to_iter_based=True),
]
