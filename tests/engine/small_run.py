"""A run of MMEngine that takes a fraction of a second: one linear layer, four numbers."""

from __future__ import annotations

import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.runner import Runner
from mmpose.structures import PoseDataSample
from torch import nn

import refinepose_mm.engine  # noqa: F401, its hooks


@DATASETS.register_module()
class FourNumbers(torch.utils.data.Dataset):
    """Images of one pixel, each with the path that a photo would have."""

    metainfo = dict(dataset_name='four', colours=torch.zeros(0, 3).numpy())

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return dict(inputs=torch.full((1, ), index + 1.),
                    data_samples=PoseDataSample(metainfo=dict(img_path=f'photos/{index}.jpg')))


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
        return dict(score=self.scores.pop(0) if self.scores else 0.)


@HOOKS.register_module()
class StopHook(Hook):
    """Ends the run with KeyboardInterrupt after some epochs, as Ctrl-C would."""

    priority = 'LOWEST'

    def __init__(self, epoch):
        self.epoch = epoch

    def before_train_epoch(self, runner):
        if runner.epoch == self.epoch:
            raise KeyboardInterrupt


def small_run(work_dir, epochs=3, resume=False, load_from=None, bad=(), hooks=(), amp=False,
              finite=dict(type='FiniteLossHook'), validate=False, accumulate=1, **checkpoint):
    """The runner of an epoch-based run with two iterations per epoch."""
    loader = dict(batch_size=2, num_workers=0, dataset=dict(type='FourNumbers'),
                  collate_fn=dict(type='pseudo_collate'),
                  sampler=dict(type='DefaultSampler', shuffle=False))
    validation = dict(val_dataloader=loader, val_cfg=dict(), val_evaluator=dict(
        type='EpochScore')) if validate else {}
    return Runner.from_cfg(Config(dict(
        work_dir=str(work_dir), default_scope='mmpose', model=dict(type='OneLayer', bad=bad),
        train_dataloader=loader, train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=1),
        optim_wrapper=dict(type='AmpOptimWrapper' if amp else 'OptimWrapper', dtype='bfloat16',
                           accumulative_counts=accumulate,
                           optimizer=dict(type='AdamW', lr=.01)) if amp else dict(
                               type='OptimWrapper', accumulative_counts=accumulate,
                               optimizer=dict(type='AdamW', lr=.01)),
        param_scheduler=[dict(type='OneCycleLR', eta_max=.02, total_steps=200, by_epoch=False)],
        default_hooks=dict(checkpoint=dict(**{
            'type': 'AtomicCheckpointHook', 'interval': 1, 'max_keep_ckpts': 2, **checkpoint})),
        custom_hooks=[*([finite] if finite else []), *hooks], resume=resume, load_from=load_from,
        randomness=dict(seed=0), experiment_name='small', log_level='WARNING', **validation)))
