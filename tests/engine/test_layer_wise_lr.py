import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpose.registry import MODELS

from refinepose_mm.engine import layer_wise_lr
from refinepose_mm.recipes import refinepose, vitpose

LR, DECAY = 5e-4, .1


PRETRAINED = dict(type='EncoderWeights', checkpoint='vit.pth')  # named; nothing here reads it


def model_of(recipe, arch, init_cfg=PRETRAINED):
    config = recipe(arch, (256, 192))
    config['backbone']['init_cfg'] = init_cfg
    with torch.device('meta'):
        return MODELS.build(config)


def wrapper_of(model, **paramwise):
    return build_optim_wrapper(model, dict(
        optimizer=dict(type='AdamW', lr=LR, weight_decay=DECAY),
        constructor='LayerWiseLRConstructor', paramwise_cfg=paramwise))


def groups_by_name(wrapper):
    return {name: (group['lr'] / LR, group['weight_decay'] / DECAY)
            for group in wrapper.optimizer.param_groups for name in group['param_names']}


@pytest.mark.parametrize('arch, rate, depth', [('base', .75, 12), ('large', .8, 24)])
def test_exact_scales(arch, rate, depth):
    model = model_of(refinepose, arch)
    scales = groups_by_name(wrapper_of(model, layer_decay_rate=rate))
    assert set(scales) == {name for name, _ in model.named_parameters()}
    expected = {
        # A stem without pretrained weights learns at the full rate.
        'backbone.patch_embed.conv7x7.weight': (1, 1),
        'backbone.patch_embed.aggregations.3.depthwise_conv.conv.weight': (1, 1),
        'backbone.patch_embed.final_conv.bn.weight': (1, 0),
        'backbone.pos_embed': (rate**(depth + 1), 0),
        'backbone.layers.0.attn.qkv.weight': (rate**depth, 1),
        'backbone.layers.0.ln1.weight': (rate**depth, 0),
        f'backbone.layers.{depth - 1}.ffn.layers.1.weight': (rate, 1),
        f'backbone.layers.{depth - 1}.ffn.layers.1.bias': (rate, 0),
        'backbone.ln1.weight': (1, 0),
        'head.up_samples.0.aggregate.0.pointwise_conv.conv.weight': (1, 1),
        'head.final_layer.bias': (1, 0),
    }
    assert {name: scales[name] for name in expected} == {
        name: pytest.approx(scale) for name, scale in expected.items()}


def test_pretrained_patch_embedding_decays_like_the_deepest_layer():
    scales = groups_by_name(
        wrapper_of(model_of(vitpose, 'base'), layer_decay_rate=.75))
    assert scales['backbone.patch_embed.projection.weight'] == pytest.approx((.75**13, 1))


def test_gates_learn_at_the_full_rate_without_decay():
    config = refinepose('base', (256, 192))
    config['backbone'].update(shortcut='gated', init_cfg=PRETRAINED)
    with torch.device('meta'):
        model = MODELS.build(config)
    assert groups_by_name(wrapper_of(model, layer_decay_rate=.5))['backbone.gates'] == (1, 0)


def test_from_scratch_every_layer_learns_at_the_full_rate(monkeypatch):
    said = []
    monkeypatch.setattr(layer_wise_lr, 'print_log', lambda message, **kwargs: said.append(message))
    model = model_of(vitpose, 'base', init_cfg=None)
    scales = groups_by_name(wrapper_of(model, layer_decay_rate=.75))
    assert set(scales.values()) == {(1, 1), (1, 0)}
    assert len(said) == 1 and 'init_cfg is None: the encoder starts from scratch' in said[0]
    assert 'layer_decay_rate=0.75 is not applied' in said[0]
    wrapper_of(model, layer_decay_rate=1.)
    wrapper_of(model_of(vitpose, 'base'), layer_decay_rate=.75)
    assert len(said) == 1


def test_custom_keys_multiply_and_the_longest_wins():
    scales = groups_by_name(wrapper_of(
        model_of(refinepose, 'small'), layer_decay_rate=.8, custom_keys={
            'head': dict(lr_mult=2.),
            'head.final_layer': dict(lr_mult=.5, decay_mult=.25),
            'layers.11': dict(lr_mult=10.)}))
    assert scales['head.final_layer.weight'] == pytest.approx((.5, .25))
    assert scales['head.up_samples.0.aggregate.0.depthwise_conv.conv.weight'] == (2., 1.)
    assert scales['backbone.layers.11.attn.proj.weight'] == pytest.approx((8., 1.))


def test_a_wrapped_model_has_the_groups_of_the_model():
    model = MODELS.build(refinepose('tiny', (64, 48)))
    scales = [groups_by_name(wrapper_of(either, layer_decay_rate=.8))
              for either in (model, torch.nn.DataParallel(model))]
    assert scales[0] == scales[1] and 'backbone.pos_embed' in scales[1]


def test_frozen_parameters_are_left_out():
    model = model_of(refinepose, 'small')
    model.backbone.pos_embed.requires_grad_(False)
    assert 'backbone.pos_embed' not in groups_by_name(wrapper_of(model, layer_decay_rate=.8))


def test_two_steps_move_every_group():
    config = refinepose('tiny', (64, 48))
    model = MODELS.build(config)
    model.init_weights()
    wrapper = wrapper_of(model, layer_decay_rate=.75)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in range(2):
        heatmaps = model(torch.randn(2, 3, 64, 48), None, mode='tensor')
        wrapper.update_params((heatmaps - 1).square().mean())
    after = dict(model.named_parameters())
    still = [group['param_names'] for group in wrapper.optimizer.param_groups
             if all(torch.equal(before[n], after[n]) for n in group['param_names'])]
    assert still == []


@pytest.mark.parametrize('paramwise, message', [
    (dict(layer_decay_rate=.8, num_layers=12), 'knows custom_keys, layer_decay_rate; got num_lay'),
    (dict(layer_decay_rate=1.5), r'layer_decay_rate in \(0, 1\], got 1.5'),
    (dict(custom_keys={'head': dict(lr_mult=2.)}), 'got None'),
    (dict(layer_decay_rate=.8, custom_keys={'hed': dict(lr_mult=1)}), 'no parameter: hed'),
    (dict(layer_decay_rate=.8, custom_keys={'head': dict(decay_multi=0)}), 'got decay_multi'),
])
def test_bad_options(paramwise, message):
    with pytest.raises(ValueError, match=message):
        wrapper_of(model_of(refinepose, 'small'), **paramwise)


def test_a_backbone_without_depths_is_refused():
    model = torch.nn.Module()
    model.backbone = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match='get_layer_depth, such as ShortcutViT; got Linear'):
        wrapper_of(model, layer_decay_rate=.8)
