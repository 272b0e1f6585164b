"""An interrupted training run goes on, and ends where an uninterrupted one does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import ROOT, mim

from refinepose_mm.datasets import toy_people

EPOCHS = 3


def training(toy, work_dir, *extra):
    return ['train', 'mmpose', 'configs/refinepose_tiny_toy.py', '--gpus', '0',
            '--work-dir', str(work_dir), *extra, '--cfg-options',
            f'train_cfg.max_epochs={EPOCHS}', 'train_cfg.val_interval=9',
            'default_hooks.checkpoint.interval=1', 'default_hooks.checkpoint.max_keep_ckpts=-1',
            'default_hooks.checkpoint.save_best=None', 'train_dataloader.batch_size=4']


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp('toy')
    toy_people.generate(root, num_train=24, num_val=2)
    return root


def wait_for(path, process):
    """Until a checkpoint is complete: MMEngine names it in last_checkpoint after writing it."""
    while not (path.parent / 'last_checkpoint').is_file() or (
            Path((path.parent / 'last_checkpoint').read_text()).name != path.name):
        assert process.poll() is None, process.stdout.read().decode()[-3000:]
        time.sleep(.02)


def test_killed_training_ends_with_the_weights_of_an_uninterrupted_one(toy, tmp_path):
    environment = {**os.environ, 'TOY_ROOT': str(toy)}
    whole = mim(*training(toy, tmp_path / 'whole'), TOY_ROOT=str(toy))
    assert whole.returncode == 0, whole.stderr[-3000:]

    broken = tmp_path / 'broken'
    command = [str(Path(sys.executable).parent / 'mim'), *training(toy, broken)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for(broken / 'epoch_2.pth', process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (broken / f'epoch_{EPOCHS}.pth').exists()

    resumed = mim(*training(toy, broken, '--resume'), TOY_ROOT=str(toy))
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert 'epoch_2.pth' in resumed.stdout and 'Epoch(train) [1]' not in resumed.stdout
    weights = [torch.load(folder / f'epoch_{EPOCHS}.pth', weights_only=True)['state_dict']
               for folder in (tmp_path / 'whole', broken)]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_every_epoch_draws_other_random_numbers():
    import random

    import numpy as np
    from mmengine.registry import FUNCTIONS, HOOKS

    class Run:
        seed = 7

    def draws(epoch):
        Run.epoch = epoch
        HOOKS.build(dict(type='EpochSeedHook')).before_train_epoch(Run)
        FUNCTIONS.get('seed_worker')(0)
        return random.random(), np.random.random(), torch.rand(1).item()

    assert draws(3) == draws(3)
    assert not set(draws(3)) & set(draws(4))
