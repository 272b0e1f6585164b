"""Loaders that the data sets share: one person per sample."""
data_mode = 'topdown'

# 512 persons per step on eight devices, as ViTPose: 64 on each.
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    worker_init_fn=dict(type='seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(data_mode=data_mode))
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(data_mode=data_mode, test_mode=True))
test_dataloader = val_dataloader
