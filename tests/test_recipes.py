"""The models in code are those of the configs."""

import pytest
from conftest import ROOT
from mmengine.config import Config

from refinepose_mm.recipes import refinepose, refinepose_lean, vitpose

TRAINING_ONLY = ('init_cfg', 'drop_path_rate', 'with_cp')


def network(config):
    """A model config without what only training needs, and with defaults left out."""
    backbone = {key: value for key, value in config['backbone'].items()
                if key not in TRAINING_ONLY}
    if backbone.get('shortcut') == 'identity':
        del backbone['shortcut']
    if backbone.get('stem') == dict(type='GradualEmbedding'):
        del backbone['stem']
    head = {key: value for key, value in config['head'].items()
            if key not in ('decoder', 'loss') and value != dict(kernel_size=1)}
    head['type'] = head['type'].replace('Float32HeatmapHead', 'HeatmapHead')
    rest = {key: value for key, value in config.items() if key != '_scope_'}
    return dict(rest, backbone=backbone, head=head)


@pytest.mark.parametrize('recipe', [refinepose, vitpose])
@pytest.mark.parametrize('letter, arch', [('b', 'base'), ('l', 'large'), ('h', 'huge')])
@pytest.mark.parametrize('data, size, keypoints', [
    ('coco', (256, 192), 17), ('mpii', (256, 256), 16)])
def test_recipes_are_the_configs_models(recipe, letter, arch, data, size, keypoints):
    config = Config.fromfile(ROOT / f'configs/{recipe.__name__}_vit{letter}_{data}.py')
    expected = network(config.model.to_dict())
    assert network(recipe(arch, size, keypoints)) == expected


@pytest.mark.parametrize('letter, arch', [
    ('s', 'small'), ('b', 'base'), ('l', 'large'), ('h', 'huge')])
def test_lean_models_are_those_of_the_configs(letter, arch):
    config = Config.fromfile(ROOT / f'configs/refinepose_lean_vit{letter}_coco.py')
    recipe = network(refinepose_lean(arch))
    if recipe['backbone']['group_size'] == 4:  # the default
        del recipe['backbone']['group_size']
    assert recipe == network(config.model.to_dict())


def test_a_lean_model_of_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="one of tiny, small, base, large, huge, got 'b'"):
        refinepose_lean('b')


def test_the_codecs_have_the_same_sizes():
    config = Config.fromfile(ROOT / 'configs/refinepose_vitb_coco.py')
    decoder = dict(config.model.head.decoder)
    assert decoder.pop('sigma') == 2  # the codec's default
    assert refinepose('base')['head']['decoder'] == decoder


def test_an_unknown_head_is_refused():
    with pytest.raises(ValueError, match="one of classic, simple, got 'modern'"):
        vitpose('base', head='modern')
