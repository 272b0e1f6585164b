"""A run of MMEngine that takes a fraction of a second: one linear layer, four numbers."""

from __future__ import annotations

import itertools
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn

import refinepose_mm.engine  # noqa: F401, its hooks

NUMBERS = itertools.count()  # MMEngine's loggers and message hubs live on under their names
# Its state contains a function.
ONE_CYCLE = dict(type='OneCycleLR', eta_max=.02, total_steps=999, by_epoch=False)


@DATASETS.register_module()
class FourNumbers(torch.utils.data.Dataset):
    """Images of one pixel, each with the path that a photo would have."""

    metainfo = dict(dataset_name='four', colours=torch.zeros(0, 3).numpy())

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return dict(inputs=torch.full((1, ), index + 1.),
                    data_samples=BaseDataElement(metainfo=dict(img_path=f'photos/{index}.jpg')))


@MODELS.register_module()
class OneLayer(BaseModel):
    """Learns the identity; ``bad`` lists the iterations whose loss is NaN."""

    def __init__(self, bad=()):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.bad = set(bad)
        self.calls = 0

    def forward(self, inputs, data_samples=None, mode='loss'):
        inputs = torch.stack(list(inputs))
        error = (self.layer(inputs) - inputs).square().mean()
        if mode == 'predict':
            return [dict(error=error)]
        self.calls += 1
        return dict(loss=error * float('nan') if self.calls in self.bad else error)


@METRICS.register_module()
class EpochScore(BaseMetric):
    """Scores that a test chooses, one per validation."""

    scores = []

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        score = self.scores.pop(0) if self.scores else 0.
        return dict(score=score, error=score)


@HOOKS.register_module()
class StopHook(Hook):
    """Ends a run before an epoch, as Ctrl-C would."""

    def __init__(self, epoch):
        self.epoch = epoch

    def before_train_epoch(self, runner):
        if runner.epoch == self.epoch:
            raise KeyboardInterrupt


def small_run(work_dir, epochs=3, resume=False, load_from=None, bad=(), hooks=(),
              optim_wrapper=dict(type='OptimWrapper'), finite=dict(type='FiniteLossHook'),
              validate=False, schedule=ONE_CYCLE, **checkpoint):
    """The runner of an epoch-based run with two iterations per epoch."""
    loader = dict(batch_size=2, num_workers=0, dataset=dict(type='FourNumbers'),
                  collate_fn=dict(type='pseudo_collate'),
                  sampler=dict(type='DefaultSampler', shuffle=False))
    validation = dict(val_dataloader=loader, val_cfg=dict(), val_evaluator=dict(
        type='EpochScore')) if validate else {}
    config = Config(dict(
        work_dir=str(work_dir), default_scope='mmengine', model=dict(type='OneLayer', bad=bad),
        train_dataloader=loader, train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=1),
        optim_wrapper=dict(**optim_wrapper, optimizer=dict(type='AdamW', lr=.01)),
        param_scheduler=[schedule],
        default_hooks=dict(checkpoint={
            'type': 'AtomicCheckpointHook', 'interval': 1, 'max_keep_ckpts': 2, **checkpoint}),
        custom_hooks=[*([finite] if finite else []), *hooks], resume=resume, load_from=load_from,
        randomness=dict(seed=0), experiment_name=f'small{next(NUMBERS)}', **validation))
    with mock.patch('mmengine.runner.runner.collect_env', dict):  # asks compilers: seconds
        return Runner.from_cfg(config)
