"""Epochs that come out the same, whether or not the run was interrupted before them."""

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
    """Seed all random numbers anew at the start of every epoch, from the run's seed and the epoch.

    MMEngine's checkpoints hold no state of random numbers. With this hook a run that was resumed
    at the end of an epoch draws the same augmentations and the same stochastic depth as one that
    was not interrupted. Data-loading workers take part if they start with every epoch
    (``persistent_workers=False``) and with ``worker_init_fn=dict(type='seed_worker')``.
    """

    priority = 'VERY_HIGH'  # before anything draws

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed random, numpy and torch; each process of a distributed run draws its own."""
        seed = np.random.SeedSequence([runner.seed, runner.epoch, get_rank()])
        seed = int(seed.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Seed a data-loading worker from what torch drew for it in this epoch.

    MMEngine's own initialisation gives a worker the same seed in every epoch.
    """
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
