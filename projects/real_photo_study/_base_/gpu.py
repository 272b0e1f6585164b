"""The study at full size: widths of ViT-S, 256x192, bf16 on one GPU."""
_base_ = './study.py'

model = dict(
    backbone=dict(arch='small', drop_path_rate=.1), head=dict(in_channels=384))
train_dataloader = dict(batch_size=64, num_workers=8)

train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=5)
optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16', optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=.01, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0, by_epoch=True, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(interval=5), logger=dict(interval=20))
