"""Reproducible epochs: a resumed run draws the random numbers of an uninterrupted one."""

from __future__ import annotations

import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS, HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed all random generators at the start of every epoch, from the run's seed and the epoch.

    Checkpoints do not contain the generators' states. With this hook a run that is resumed at the
    end of an epoch draws the same augmentations and stochastic depth as an uninterrupted one.
    Data-loading workers need ``worker_init_fn=dict(type='seed_worker')`` and must start with every
    epoch (``persistent_workers=False``).
    """

    priority = 'VERY_HIGH'  # before anything draws

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed random, numpy and torch; each process of a distributed run has its own seed."""
        sequence = np.random.SeedSequence([runner.seed, runner.epoch, get_rank()])
        seed = int(sequence.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Seed a data-loading worker with torch's seed for it, which changes with every epoch.

    MMEngine's ``worker_init_fn`` gives a worker the same seed in every epoch.
    """
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
