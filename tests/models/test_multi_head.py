"""One encoder, a head for each data set: routing, losses, checkpoints, the chosen head."""

import copy

import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import nn

from refinepose_mm.deploy.export import export
from refinepose_mm.deploy.formats import load_exported
from refinepose_mm.deploy.network import InferenceNetwork, load_model
from refinepose_mm.models import multi_head

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
SIZE = (64, 48)
JOINTS = dict(coco=4, aic=3, mpii=2)
FUSION = dict(type='FusionHead')
CLASSIC = dict(type='HeatmapHead', deconv_out_channels=(16, 16), deconv_kernel_sizes=(4, 4))
GRADUAL, PATCHES = dict(type='GradualEmbedding'), dict(type='PatchEmbedding')


def model_config(head=FUSION, stem=GRADUAL, dataset='coco', **changes):
    config = dict(
        type='MultiHeadPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[120.] * 3, std=[60.] * 3),
        backbone=dict(type='ShortcutViT', arch=ARCH, img_size=SIZE, stem=stem),
        head=dict(head, in_channels=32, out_channels=JOINTS[dataset], decoder=dict(
            type='BatchedUDPHeatmap', input_size=SIZE[::-1], heatmap_size=(12, 16), sigma=1.)),
        dataset=dataset,
        associates={name: dict(out_channels=count) for name, count in JOINTS.items()
                    if name != dataset})
    return {**config, **changes}


def build(**changes):
    torch.manual_seed(0)
    model = MODELS.build(model_config(**changes))
    model.init_weights()
    for head in getattr(model, 'heads', dict(only=model.head)).values():
        nn.init.normal_(head.final_layer.weight)  # losses that differ
    return model


def sample_of(name):
    sample = PoseDataSample(metainfo=dict(
        dataset_name=name, input_size=SIZE[::-1], input_center=np.array([24., 32.]),
        input_scale=np.array([48., 64.]), flip_indices=list(range(JOINTS.get(name, 5)))))
    sample.gt_fields = PixelData(heatmaps=torch.rand(JOINTS.get(name, 5), 16, 12))
    sample.gt_instance_labels = InstanceData(
        keypoint_weights=torch.ones(1, JOINTS.get(name, 5)))
    sample.gt_instances = InstanceData(bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
    return sample


def total(losses):
    return sum(value for key, value in losses.items() if 'loss' in key)


# In training mode heads normalise over their own samples; a stem with BN would mix them.
@pytest.mark.parametrize('head, stem, training', [
    (FUSION, GRADUAL, False), (CLASSIC, PATCHES, False), (CLASSIC, PATCHES, True)])
def test_loss_of_a_mixed_batch_is_the_weighted_sum_of_each_alone(head, stem, training):
    model = build(head=head, stem=stem).train(training)
    names = ['mpii', 'coco', 'mpii', 'aic', 'mpii']
    images, samples = torch.randn(5, 3, *SIZE), [sample_of(name) for name in names]
    mixed = model(images, samples, mode='loss')
    alone = []
    for name in JOINTS:
        of = [index for index, other in enumerate(names) if other == name]
        losses = model(images[of], [samples[index] for index in of], mode='loss')
        assert all(value == 0 for key, value in losses.items()
                   if key.startswith('loss') and not key.endswith(name))
        torch.testing.assert_close(
            mixed[f'loss_kpt_{name}'], losses[f'loss_kpt_{name}'] * len(of) / 5)
        assert mixed[f'acc_pose_{name}'] == losses[f'acc_pose_{name}']
        alone.append(total(losses) * len(of) / 5)
    torch.testing.assert_close(total(mixed), sum(alone))
    assert len({round(value.item(), 6) for value in alone}) == len(JOINTS)
    # Gradients, too: of the shared encoder and of each head.
    gradients = torch.autograd.grad(total(mixed), model.parameters(), retain_graph=True)
    for found, expected in zip(gradients, torch.autograd.grad(sum(alone), model.parameters())):
        assert expected.any() and (found - expected).norm() <= 1e-4 * expected.norm()


def test_each_loss_is_that_of_a_model_with_one_head():
    model = build().eval()
    single = MODELS.build(dict(
        {key: value for key, value in model_config().items()
         if key not in ('dataset', 'associates')}, type='TopdownPoseEstimator')).eval()
    images = torch.randn(2, 3, *SIZE)
    for name in JOINTS:
        single.head = copy.deepcopy(model.heads[name])
        single.backbone.load_state_dict(model.backbone.state_dict())
        samples = [sample_of(name), sample_of(name)]
        expected = single(images, samples, mode='loss')['loss_kpt']
        torch.testing.assert_close(
            model(images, samples, mode='loss')[f'loss_kpt_{name}'], expected)


def test_heads_without_samples_get_gradients_of_zero_and_every_other_learns():
    """DDP without find_unused_parameters waits for a gradient of each parameter."""
    model = build()
    losses = model(torch.randn(2, 3, *SIZE), [sample_of('aic')] * 2, mode='loss')
    model.parse_losses(losses)[0].backward()
    assert all(p.grad is not None for p in model.parameters())
    for name, head in model.heads.items():
        assert any(p.grad.any() for p in head.parameters()) == (name == 'aic')


def test_every_head_has_its_own_initialisation_and_the_full_rate():
    torch.manual_seed(0)
    model = MODELS.build(model_config())
    model.init_weights()
    assert [head.out_channels for head in model.heads.values()] == [4, 3, 2]
    for head in model.heads.values():  # FusionHead's, not torch's default
        assert 5e-4 < head.final_layer.weight.std() < 2e-3
    wrapper = build_optim_wrapper(model, dict(
        optimizer=dict(type='AdamW', lr=1., weight_decay=.1),
        constructor='LayerWiseLRConstructor', paramwise_cfg=dict(layer_decay_rate=.5)))
    ids = {id(p) for p in model.heads.parameters()}
    rates = {group['lr'] for group in wrapper.optimizer.param_groups
             for p in group['params'] if id(p) in ids}
    assert rates == {1.}


def test_checkpoint_of_all_heads_serves_every_choice():
    first, second = build(), build(dataset='mpii')
    second.load_state_dict(first.state_dict())
    image = torch.randn(1, 3, *SIZE)
    for model in (first.eval(), second.eval()):
        features = model.extract_feat(image)
        for name in JOINTS:
            torch.testing.assert_close(
                model.heads[name](features), first.heads[name](first.extract_feat(image)))
    assert first(image, None).shape[1] == 4 and second(image, None).shape[1] == 2


def test_checkpoint_of_one_head_loads_as_that_of_the_chosen_one(tmp_path):
    torch.manual_seed(1)
    single = MODELS.build(dict(
        {key: value for key, value in model_config().items()
         if key not in ('dataset', 'associates')}, type='TopdownPoseEstimator'))
    model = build()
    before = copy.deepcopy(model.heads['mpii'].state_dict())
    missing, unknown = model.load_state_dict(single.state_dict(), strict=False)
    assert not unknown
    assert {name.split('.')[1] for name in missing} == {'aic', 'mpii'}
    for name, value in single.head.state_dict().items():
        torch.testing.assert_close(model.head.state_dict()[name], value)
    for name, value in before.items():
        torch.testing.assert_close(model.heads['mpii'].state_dict()[name], value)


def test_predicts_by_the_chosen_head():
    model = build(dataset='mpii', test_cfg=dict(flip_test=True, flip_mode='heatmap')).eval()
    images = torch.randn(2, 3, *SIZE)
    found = model(images, [sample_of('mpii'), sample_of('else')], mode='predict')
    assert [f.pred_instances.keypoints.shape for f in found] == [(1, 2, 2)] * 2


def test_refuses_samples_of_other_sets():
    model, image = build(), torch.randn(1, 3, *SIZE)
    with pytest.raises(ValueError, match="data set 'lspet', which has no head; heads: coco, aic"):
        model(image, [sample_of('lspet')], mode='loss')
    with pytest.raises(ValueError, match="head is of coco, the sample of mpii; .*dataset='mpii'"):
        model(image, [sample_of('mpii')], mode='predict')
    with pytest.raises(ValueError, match='model.associates must not'):
        build(associates=dict(coco=dict(out_channels=4)))


def test_refuses_syncbn_that_would_wait_for_ever(monkeypatch):
    model = nn.SyncBatchNorm.convert_sync_batchnorm(build(stem=PATCHES, head=CLASSIC))
    monkeypatch.setattr(multi_head, 'get_world_size', lambda: 2)
    with pytest.raises(ValueError, match='SyncBN'):
        multi_head._nothing(model.heads['aic'])


def test_exports_the_chosen_head(tmp_path):
    model = build(dataset='aic').eval()
    path = tmp_path / 'aic.pt2'
    export(model, path)
    images = torch.rand(1, 3, *SIZE) * 255
    with torch.no_grad():
        expected = InferenceNetwork(model)(images).numpy()
    heatmaps, = load_exported(path, trust=True)(images.numpy())
    assert heatmaps.shape == (1, 3, 16, 12)
    np.testing.assert_allclose(heatmaps, expected, atol=1e-3)


def test_checkpoint_loads_for_prediction_by_its_config(tmp_path):
    """As `refinepose export` and `refinepose predict` load it: all weights or an error."""
    config = Config.fromfile(ROOT / 'configs/refinepose_vitb_four_heads_mpii.py')
    config.model.backbone.update(arch=ARCH, init_cfg=None)
    config.model.head.in_channels = 32
    weights = MODELS.build(config.model).state_dict()
    torch.save(weights, tmp_path / 'all.pth')
    model = load_model(config, tmp_path / 'all.pth')
    assert model.head.out_channels == model.dataset_meta['num_keypoints'] == 16
    torch.save({k: v for k, v in weights.items() if 'heads.aic' not in k}, tmp_path / 'less.pth')
    with pytest.raises(ValueError, match='is not of this config: .* missing: heads.aic'):
        load_model(config, tmp_path / 'less.pth')
