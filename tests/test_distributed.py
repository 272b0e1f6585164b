"""Two gloo processes on the CPU: what torchrun starts on a machine with two GPUs."""

import pytest
import torch
import torch.distributed as dist
from conftest import ROOT
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import multiprocessing, nn

PROCESSES = 2
ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
K, SIZE = 4, (64, 48)


SETS = ['coco', 'coco', 'mpii', 'mpii']  # each process has the samples of one


def build(**heads):
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='MultiHeadPoseEstimator' if heads else 'TopdownPoseEstimator',
        backbone=dict(type='ShortcutViT', arch=ARCH, img_size=SIZE),
        head=dict(type='FusionHead', in_channels=32, out_channels=K), **heads))
    model.init_weights()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            # Frozen statistics: SyncBN, which would make them those of the whole batch, is for
            # GPUs only.
            module.eval()
    return model


def union_batch():
    torch.manual_seed(1)
    images = torch.randn(4, 3, *SIZE)
    samples = []
    for name, heatmaps in zip(SETS, torch.rand(4, K, 16, 12)):
        sample = PoseDataSample(metainfo=dict(dataset_name=name))
        sample.gt_fields = PixelData(heatmaps=heatmaps)
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, K))
        samples.append(sample)
    return images, samples


def gradients(model, images, samples):
    loss, _ = getattr(model, 'module', model).parse_losses(model(images, samples, mode='loss'))
    loss.backward()
    return {name.removeprefix('module.'): p.grad for name, p in model.named_parameters()}


def in_process(rank, function, folder):
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=PROCESSES)
    torch.set_num_threads(1)
    init_default_scope('mmpose')
    function(rank, folder)
    dist.destroy_process_group()


def in_processes(function, folder):
    multiprocessing.spawn(in_process, (function, folder), nprocs=PROCESSES)


def save_gradients(rank, folder):
    images, samples = union_batch()
    half = slice(2 * rank, 2 * rank + 2)
    # find_unused_parameters stays off: a parameter without gradient would end in an error.
    model = MMDistributedDataParallel(build())
    torch.save(gradients(model, images[half], samples[half]), f'{folder}/{rank}.pth')


def test_gradients_are_those_of_the_union_batch(tmp_path):
    in_processes(save_gradients, tmp_path)
    expected = gradients(build(), *union_batch())
    for rank in range(PROCESSES):
        found = torch.load(tmp_path / f'{rank}.pth')
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7, msg=name)


HEADS = dict(dataset='coco', associates=dict(mpii={}))


def save_gradients_of_heads(rank, folder):
    images, samples = union_batch()
    half = slice(2 * rank, 2 * rank + 2)
    model = MMDistributedDataParallel(build(**HEADS))
    torch.save(gradients(model, images[half], samples[half]), f'{folder}/{rank}.pth')


def test_heads_of_sets_that_a_process_lacks_do_not_stop_it(tmp_path):
    in_processes(save_gradients_of_heads, tmp_path)
    expected = gradients(build(**HEADS), *union_batch())
    found = torch.load(tmp_path / '1.pth')
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7, msg=name)


def step_with_sharded_optimizer(rank, folder):
    config = Config.fromfile(ROOT / 'configs/refinepose_vith_coco_zero.py')
    config.model.backbone.update(arch=ARCH, img_size=SIZE, drop_path_rate=0.)
    # In place of MAE's weights; from scratch the learning rates would not decay.
    config.model.backbone.init_cfg = dict(type='Constant', layer='LayerNorm', val=1.)
    config.model.head.in_channels = 32
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    model = MMDistributedDataParallel(model)
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    images, samples = union_batch()
    for sample in samples:
        sample.gt_fields = PixelData(heatmaps=torch.rand(17, 16, 12))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, 17))
    before = {name: p.detach().clone() for name, p in model.module.named_parameters()}
    model.train_step(dict(inputs=list(images), data_samples=samples), wrapper)
    moved = {name: not torch.equal(p, before[name])
             for name, p in model.module.named_parameters()}
    state = sum(len(s) > 0 for s in wrapper.optimizer.optim.state.values())
    torch.save(dict(moved=moved, state=state, weights=model.module.state_dict(),
                    scales=sorted({group['lr'] / 5e-4 for group in wrapper.param_groups})),
               f'{folder}/{rank}.pth')


def test_sharded_optimizer_updates_all_and_keeps_a_share_per_process(tmp_path):
    in_processes(step_with_sharded_optimizer, tmp_path)
    first, second = (torch.load(tmp_path / f'{rank}.pth') for rank in range(PROCESSES))
    assert all(first['moved'].values())
    parameters = len(first['moved'])
    assert first['state'] + second['state'] == parameters
    assert 0 < first['state'] < parameters
    assert first['scales'] == pytest.approx([.85**n for n in (5, 4, 3, 2, 1, 0)])
    for name, value in first['weights'].items():
        if 'running' not in name:  # statistics of each process's own batch
            assert torch.equal(value, second['weights'][name]), name
