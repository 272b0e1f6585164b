"""Another number of attention heads is another function: it is known, told or refused."""

import json

import pytest
import torch
from encoders import ARCH, IMAGE_SIZE, PLAIN, mmpretrain_names, reference, refinepose, timm_names
from safetensors.torch import save_file

from refinepose_mm.checkpoints import open_checkpoint, write_checkpoint
from refinepose_mm.cli import main
from refinepose_mm.models.shortcut_vit import ARCHS
from refinepose_mm.weights import EncoderWeights, load_encoder
from refinepose_mm.weights.formats import FORMATS
from refinepose_mm.weights.metadata import facts_in

# The width and depth of ViT-S decide, not the feed-forward network.
SMALL = dict(embed_dims=384, num_layers=12, num_heads=12, feedforward_channels=32)
SIX = dict(SMALL, num_heads=6)


def test_four_and_eight_heads_are_two_functions():
    image = torch.randn(1, 3, *IMAGE_SIZE, dtype=torch.double)
    outputs = {}
    for heads in (4, 8):
        backbone = refinepose(dict(ARCH, num_heads=heads), **PLAIN).double().eval()
        load_encoder(backbone, timm_names(), 'file', num_heads=heads)
        outputs[heads] = backbone(image).feature_map
        expected = reference(mmpretrain_names(), image, heads, padding=2)
        torch.testing.assert_close(outputs[heads], expected, rtol=0, atol=1e-10)
    assert (outputs[4] - outputs[8]).abs().max() > 1e-3


def with_class_token(names):
    return {**names, 'backbone.cls_token': torch.ones(1, 1, 384)}


@pytest.mark.parametrize('names, heads', [
    (timm_names, 6),
    (lambda **kw: timm_names('base_encoder.', **kw), 12),
    (lambda **kw: timm_names('backbone.', pos_rows=49, **kw), 12),
    (lambda **kw: mmpretrain_names('backbone.', **kw), 12),
    (lambda **kw: mmpretrain_names(**kw), None),
    (lambda **kw: with_class_token(mmpretrain_names('backbone.', **kw)), None),
    (lambda **kw: {**timm_names(**kw), 'decoder_blocks.0.norm1.weight': torch.ones(1)}, None),
    (lambda **kw: {f'backbone.{k}': v for k, v in refinepose(SMALL).state_dict().items()}, None),
], ids=['timm', 'MoCo', 'ViTPose', 'MMPose ViTPose', 'MMPose MAE', 'mmpretrain classifier', 'MAE',
        'RefinePose'])
def test_small_encoders_are_told_apart(names, heads):
    weights = names(arch=SMALL)
    for arch in (SIX, SMALL):
        backbone = refinepose(arch)
        before = backbone.layers[0].attn.qkv.weight.clone()
        if heads == arch['num_heads']:
            assert load_encoder(backbone, weights, 'file').heads == (heads, 'by the format')
            continue
        message = ('does not show its number of attention heads' if heads is None else
                   rf'has {heads} attention heads \(by the format\), the backbone '
                   rf'{arch["num_heads"]}: .* arch with num_heads={heads}')
        with pytest.raises(ValueError, match=message):
            load_encoder(backbone, weights, 'file')
        assert torch.equal(backbone.layers[0].attn.qkv.weight, before)
    if heads is None:
        assert load_encoder(backbone, weights, 'file', num_heads=12).heads == (12, 'as told')


@pytest.mark.parametrize('widths, heads', [((768, 12), 12), ((1024, 24), 16), ((1280, 32), 16)])
def test_larger_encoders_have_one_number_everywhere(widths, heads):
    assert all(found.heads[widths] == heads for found in FORMATS)


CONFIG = "default_scope = 'mmpose'\nmodel = dict(\n    backbone=dict({}), head=dict())\n"


@pytest.mark.parametrize('meta, heads', [
    ({}, None),
    (dict(num_heads=6), 6), (dict(num_heads='6'), 6),
    (dict(num_heads='six'), None), (dict(num_heads=True), None), (dict(num_heads=-6), None),
    (dict(num_heads=[6]), None), (dict(num_heads='9' * 5000), None),
    (dict(cfg=CONFIG.format("type='ShortcutViT', arch='small'")), 12),
    (dict(cfg=CONFIG.format("type='ShortcutViT', arch='tall'")), None),
    (dict(cfg=CONFIG.format("type='mmpretrain.VisionTransformer', arch='small'")), None),
    (dict(cfg=CONFIG.format("type='ViT', arch=dict(embed_dims=384, num_heads=6)")), 6),
    (dict(cfg=CONFIG.format("type='ViT', arch={'num_heads': 6}")), 6),
    (dict(cfg=CONFIG.format("type='ViT', arch=dict(num_heads=exit())")), None),
    (dict(cfg=CONFIG.format("type='ViT', arch=[1]")), None),
    (dict(cfg='model = exit()'), None), (dict(cfg='('), None), (dict(cfg='\0'), None),
    (dict(cfg='(' * 100_000), None), (dict(cfg='-' * 500_000 + '1'), None),
    (dict(cfg='backbone = dict(arch="small")'), None), (dict(cfg=3), None),
    (dict(config=dict(num_attention_heads=6)), 6),
    (dict(config=dict(backbone_config=dict(num_attention_heads=12))), 12),
    (dict(config=dict(vision_config=dict(num_attention_heads=12), text_config=3)), 12),
    (dict(config=dict(backbone_config=None)), None), (dict(config='model = 1'), None),
])
def test_what_stands_in_the_file(meta, heads):
    assert facts_in(meta).num_heads == heads


def test_what_the_file_says_comes_first_and_nobody_is_contradicted():
    weights, backbone = timm_names(arch=SMALL), refinepose(SMALL)
    for told in (12, None):
        assert load_encoder(backbone, weights, 'file', meta=dict(num_heads=12),
                            num_heads=told).heads == (12, 'by the file')
    for meta, origin in ((dict(num_heads=6), 'file'), ({}, 'format')):
        with pytest.raises(ValueError, match=(
                rf'has 6 attention heads, by the {origin}; got num_heads=12')):
            load_encoder(backbone, weights, 'file', meta=meta, num_heads=12)


def test_a_training_checkpoint_brings_its_config(tmp_path):
    torch.save(dict(state_dict=mmpretrain_names('backbone.', arch=SIX), meta=dict(
        cfg=CONFIG.format("type='ShortcutViT', arch=dict(embed_dims=384, num_heads=6)"))),
        tmp_path / 'epoch_1.pth')
    EncoderWeights(str(tmp_path / 'epoch_1.pth'))(refinepose(SIX))
    with pytest.raises(ValueError, match=r'has 6 attention heads \(by the file\)'):
        EncoderWeights(str(tmp_path / 'epoch_1.pth'))(refinepose(SMALL))


def test_a_folder_of_hugging_face_brings_its_config(tmp_path):
    save_file(timm_names(arch=SMALL), tmp_path / 'model.safetensors')
    (tmp_path / 'config.json').write_text(json.dumps(dict(num_attention_heads=12)))
    EncoderWeights(str(tmp_path))(refinepose(SMALL))
    with pytest.raises(ValueError, match=r'has 12 attention heads \(by the file\)'):
        EncoderWeights(str(tmp_path))(refinepose(SIX))


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_the_command_keeps_the_number_in_what_it_writes(tmp_path, capsys, suffix):
    source, output = tmp_path / 'timm.pth', tmp_path / f'encoder{suffix}'
    write_checkpoint(source, timm_names(arch=ARCHS['small']._asdict()), {})
    words = ['weights', str(source), '--arch', 'small', '--img-size', '128', '96']
    assert main([*words, '--output', str(output)]) == 2
    assert 'does not fit --arch small: it has num_heads 6' in capsys.readouterr().err
    assert not output.exists()
    assert main([*words, '--output', str(output), '--num-heads', '6']) == 0
    weights, meta = open_checkpoint(output)
    assert facts_in(meta).num_heads == 6
    six = ARCHS['small']._replace(num_heads=6)._asdict()
    assert load_encoder(refinepose(six), weights, 'file', meta=meta).heads == (6, 'by the file')
