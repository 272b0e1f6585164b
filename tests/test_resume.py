"""An interrupted training run goes on, and ends where an uninterrupted one does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
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
    """Until a checkpoint is complete, as it is when it has its name."""
    while not path.is_file():
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


@pytest.mark.slow
def test_a_data_set_without_a_skeleton(toy, tmp_path):
    """Its empty array of colours is in every checkpoint, MMEngine's and ours."""
    import mmpose
    from mmengine.config import Config
    from mmengine.structures import InstanceData
    from mmpose.apis import init_model
    from mmpose.datasets import CocoDataset
    from mmpose.structures import PoseDataSample
    from mmpose.visualization import PoseLocalVisualizer
    metainfo = Config.fromfile(
        Path(mmpose.__file__).parent / '.mim' / CocoDataset.METAINFO['from_file'])
    metainfo.dataset_info.skeleton_info = {}
    metainfo.dump(tmp_path / 'metainfo.py')
    options = [f'{loader}.dataset.metainfo.from_file={tmp_path / "metainfo.py"}'
               for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader')]
    old = mim(*training(toy, tmp_path / 'run'), *options, 'train_cfg.max_epochs=1',
              'default_hooks.checkpoint.type=CheckpointHook', TOY_ROOT=str(toy))
    assert old.returncode == 0, old.stderr[-3000:]
    tested = mim('test', 'mmpose', 'configs/refinepose_tiny_toy.py', '--gpus', '0', '--checkpoint',
                 tmp_path / 'run/epoch_1.pth', '--work-dir', tmp_path / 'test', '--cfg-options',
                 *options, TOY_ROOT=str(toy))
    assert tested.returncode == 0, tested.stderr[-3000:]
    resumed = mim(*training(toy, tmp_path / 'run', '--resume'), *options, 'train_cfg.max_epochs=2',
                  TOY_ROOT=str(toy))
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert 'Epoch(train) [2]' in resumed.stdout and 'Epoch(train) [1]' not in resumed.stdout

    # MMPose takes the meta information of a model from its checkpoint; ours holds tensors there.
    model = init_model(str(ROOT / 'configs/refinepose_tiny_toy.py'),
                       str(tmp_path / 'run/epoch_2.pth'), device='cpu')
    assert model.dataset_meta['skeleton_link_colors'].shape == (0, )
    visualizer = PoseLocalVisualizer()
    visualizer.set_dataset_meta(model.dataset_meta)
    person = InstanceData(keypoints=np.full((1, 17, 2), 20.), keypoint_scores=np.ones((1, 17)))
    picture = np.zeros((40, 40, 3), np.uint8)
    drawn = visualizer.add_datasample(
        'person', picture, PoseDataSample(gt_instances=person, pred_instances=person),
        draw_gt=False, draw_bbox=False)
    assert drawn.any()


def test_every_epoch_draws_other_random_numbers():
    import random

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
