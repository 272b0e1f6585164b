"""Half precision, recomputation and compilation change how it is computed, not what."""

import json

import numpy as np
import pytest
import torch
from conftest import mim
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from refinepose_mm.datasets import toy_people

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
SIZE = (64, 48)
K = 4


def build():
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='mmpose.PoseDataPreprocessor', mean=[120.] * 3, std=[58.] * 3),
        backbone=dict(type='ShortcutViT', arch=ARCH, img_size=SIZE),
        head=dict(type='FusionHead', in_channels=32, out_channels=K, decoder=dict(
            type='BatchedUDPHeatmap', input_size=SIZE[::-1], heatmap_size=(12, 16), sigma=1.)),
        test_cfg=dict(flip_test=True, flip_mode='heatmap')))
    model.init_weights()
    return model


def batch():
    torch.manual_seed(1)
    images = list(torch.randint(0, 256, (2, 3, *SIZE), dtype=torch.uint8))
    samples = []
    for heatmaps in torch.rand(2, K, 16, 12):
        sample = PoseDataSample(metainfo=dict(
            input_size=SIZE[::-1], input_center=np.array([24., 32.]),
            input_scale=np.array([48., 64.]), flip_indices=[1, 0, 3, 2]))
        sample.gt_fields = PixelData(heatmaps=heatmaps)
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, K))
        sample.gt_instances = InstanceData(bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_mixed_precision_runs_through_loss_and_decoding(dtype, monkeypatch):
    if dtype == 'float16' and not torch.cuda.is_available():
        pytest.skip('fp16 autocast of MMEngine needs CUDA')
    # MMEngine refuses AMP on a CPU in its constructor, though torch's autocast serves it.
    monkeypatch.setattr('mmengine.optim.optimizer.amp_optimizer_wrapper.is_cuda_available',
                        lambda: True)
    model = build()
    wrapper = OPTIM_WRAPPERS.build(dict(
        type='AmpOptimWrapper', dtype=dtype, loss_scale=1.,
        optimizer=torch.optim.AdamW(model.parameters(), lr=1e-3)))
    losses = [model.train_step(batch(), wrapper)['loss'].item() for _ in range(3)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    reference = build().eval()
    with torch.autocast('cpu', getattr(torch, dtype)):
        half = reference.test_step(batch())
    full = reference.test_step(batch())
    for ours, expected in zip(half, full):
        assert ours.pred_instances.keypoints.dtype == expected.pred_instances.keypoints.dtype
        np.testing.assert_allclose(ours.pred_instances.keypoint_scores,
                                   expected.pred_instances.keypoint_scores, rtol=0, atol=2e-2)


def test_compiles_without_graph_breaks():
    model = build().train()
    images = torch.randn(2, 3, *SIZE)

    def forward(x):
        return model.head(model.backbone(x))

    torch._dynamo.reset()
    explained = torch._dynamo.explain(forward)(images)
    assert explained.graph_count == 1 and explained.graph_break_count == 0, explained.break_reasons


@pytest.mark.parametrize('option', [
    'bf16', pytest.param('compile', marks=pytest.mark.slow)])
def test_trains_from_the_command_line(option, tmp_path):
    toy_people.generate(tmp_path / 'toy', num_train=6, num_val=2)
    options = dict(
        bf16=['optim_wrapper.type=AmpOptimWrapper', 'optim_wrapper.dtype=bfloat16'],
        # As one graph, or it fails; what that graph becomes is for benchmarks.
        compile=['compile.backend=aot_eager'])[option]
    if option == 'bf16' and not torch.cuda.is_available():
        pytest.skip('MMEngine runs AmpOptimWrapper on accelerators only')
    trained = mim('train', 'mmpose', 'configs/refinepose_tiny_toy.py', '--gpus',
                  str(int(torch.cuda.is_available())), '--work-dir', tmp_path / 'run',
                  '--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1',
                  'train_dataloader.batch_size=4', *options, TOY_ROOT=str(tmp_path / 'toy'))
    assert trained.returncode == 0, trained.stderr[-3000:]
    scalars = next((tmp_path / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()
    assert 'coco/AP' in json.loads(scalars[-1])
