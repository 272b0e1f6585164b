"""A loss that is not finite ends the run before it reaches weights or files."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample
from small_run import small_run
from torch import nn

from refinepose_mm.engine.finite_loss import FiniteLossHook, describe

ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason='AmpOptimWrapper needs a GPU')
AMP = pytest.param(dict(type='AmpOptimWrapper', dtype='float16'), marks=ON_GPU)


def weights(folder, name):
    return torch.load(folder / name, weights_only=True)['state_dict']


@pytest.mark.parametrize('optim_wrapper', [dict(type='OptimWrapper'), AMP])
def test_the_run_stops_with_iteration_and_images(tmp_path, optim_wrapper):
    runner = small_run(tmp_path, bad=[4], optim_wrapper=optim_wrapper)
    with pytest.raises(FloatingPointError) as error:
        runner.train()
    assert str(error.value) == ('loss is nan at iteration 4 (epoch 2); '
                                'images: photos/2.jpg, photos/3.jpg')
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['epoch_1.pth']
    assert all(value.isfinite().all() for value in runner.model.state_dict().values())


def test_without_the_hook_the_weights_are_lost(tmp_path):
    """What the hook is for; the checkpoint hook still saves none of it."""
    runner = small_run(tmp_path, bad=[3], finite=None)
    with pytest.raises(FloatingPointError, match='2 of 2 tensors'):
        runner.train()
    assert runner.model.layer.weight.isnan().all()


def test_skipping_leaves_out_one_step(tmp_path):
    skip = dict(type='FiniteLossHook', action='skip')
    runner = small_run(tmp_path, bad=[3], finite=skip)
    runner.train()
    assert runner.iter == 6
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert 'Step left out: loss is nan at iteration 3 (epoch 2); images: photos/0.jpg' in log
    assert '1 steps were left out' in log
    # The optimizer has seen five steps, and the weights of every epoch are finite.
    assert runner.optim_wrapper.optimizer.state_dict()['state'][0]['step'] == 5
    assert all(value.isfinite().all() for value in weights(tmp_path, 'epoch_3.pth').values())


def test_skipping_undoes_what_the_batch_did_to_running_means(tmp_path):
    runner = small_run(tmp_path, bad=[3], finite=dict(type='FiniteLossHook', action='skip'))
    runner.model.layer = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    forward = runner.model.forward

    def spoiled(inputs, data_samples=None, mode='loss'):
        if runner.iter == 2:
            inputs = [value * float('nan') for value in inputs]
        return forward(inputs, data_samples, mode)

    runner.model.forward = spoiled
    runner.train()
    norm = runner.model.layer[1]
    assert norm.running_mean.isfinite() and norm.num_batches_tracked == 5


def test_skipping_ends_where_the_weights_are_lost(tmp_path):
    runner = small_run(tmp_path, bad=[3], finite=dict(type='FiniteLossHook', action='skip'))
    runner.model.layer.bias.data.fill_(float('inf'))
    with pytest.raises(FloatingPointError, match='parameters are not finite .* first layer.bias'):
        runner.train()


def test_infinite_gradients_of_amp_are_not_its_business():
    loss = torch.ones((), requires_grad=True) * 1e30
    seen = []
    runner = SimpleNamespace(iter=0, epoch=0, optim_wrapper=SimpleNamespace(
        update_params=lambda loss: seen.append(loss)))
    FiniteLossHook().before_train(runner)
    runner.optim_wrapper.update_params(loss)
    assert seen == [loss]


def test_the_culprit_is_named_where_it_can_be_seen():
    samples = []
    for name in 'abc':
        sample = PoseDataSample(metainfo=dict(img_path=f'{name}.jpg'))
        sample.gt_fields = PixelData(heatmaps=torch.zeros(1, 4, 4))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, 3))
        samples.append(sample)
    samples[1].gt_fields.heatmaps[0, 2, 2] = float('nan')
    samples[2].gt_instance_labels.keypoint_weights[0, 1] = float('inf')
    batch = dict(inputs=[torch.zeros(3, 4, 4, dtype=torch.uint8)] * 3, data_samples=samples)
    assert describe(batch) == ('images: a.jpg, b.jpg, c.jpg; '
                               'not finite already in input or target: b.jpg, c.jpg')
    assert describe(None) == 'the batch has no image names'


def test_an_unknown_action_is_refused():
    with pytest.raises(ValueError, match="'stop' or 'skip', got 'ignore'"):
        FiniteLossHook('ignore')


TWO = '''
import sys
import refinepose_mm
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from small_run import small_run
from torch import nn
rank, folder, action = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
runner = small_run(f'{folder}/run', bad=[2] if rank else [],
                   finite=dict(type='FiniteLossHook', action=action))
runner.model = MMDistributedDataParallel(runner.model)
try:
    runner.train()
    print('done', runner.optim_wrapper.optimizer.state_dict()['state'][0]['step'])
except FloatingPointError as error:
    print('stopped', error)
'''


@pytest.mark.parametrize('action, expected', [('stop', 'stopped loss is'), ('skip', 'done')])
def test_processes_act_alike(tmp_path, action, expected):
    """NaN in the second process alone: both stop, or both leave out the step."""
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(
        [str(ROOT), str(ROOT / 'tests/engine')]), 'OMP_NUM_THREADS': '1'}
    processes = [subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', TWO, str(rank), str(tmp_path), action],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        for rank in range(2)]
    results = [process.communicate(timeout=120) for process in processes]
    last = [output.splitlines()[-1] for output, _ in results]
    assert all(line.startswith(expected) for line in last), results
    if action == 'stop':
        assert 'nan' in last[1] and 'iteration 2' in last[0] and 'iteration 2' in last[1]
        assert [path.name for path in (tmp_path / 'run').glob('*.pth')] == ['epoch_1.pth']
    else:
        assert last[0] == last[1]
