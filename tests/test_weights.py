"""Every format of pretrained encoders: small files with the right names and random values."""

import argparse

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmpose.registry import MODELS
from safetensors.torch import save_file

from refinepose_mm.checkpoints import read_checkpoint
from refinepose_mm.models import ShortcutViT
from refinepose_mm.models.shortcut_vit import resize_pos_embed
from refinepose_mm.weights import EncoderWeights, load_encoder, run

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
IMAGE_SIZE = (128, 96)  # 8x6 tokens
PLAIN = dict(stem=dict(type='PatchEmbedding'), shortcut='none')


def refinepose(**options):
    return ShortcutViT(ARCH, IMAGE_SIZE, **options)


def mmpretrain_names(prefix='', pos_rows=48):
    """An encoder as MMPose's ViTPose and MAE checkpoints name it."""
    generator = torch.Generator().manual_seed(0)
    shapes = {name: value.shape for name, value in refinepose(**PLAIN).state_dict().items()}
    del shapes['pos_embed']
    weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    weights['pos_embed'] = torch.randn(1, pos_rows, 32, generator=generator)
    return {prefix + name: value for name, value in weights.items()}


def timm_names(prefix='', pos_rows=48, last_norm='norm'):
    """The same encoder as timm, official MAE and official ViTPose name it."""
    renamed = {}
    for name, value in mmpretrain_names(pos_rows=pos_rows).items():
        for ours, theirs in {
                'layers.0.0.': 'fc1.', 'ffn.layers.1.': 'ffn.fc2.', 'ffn.layers.': 'ffn.',
                'ffn.': 'mlp.', 'layers.': 'blocks.', '.ln1.': '.norm1.', '.ln2.': '.norm2.',
                'projection': 'proj'}.items():
            name = name.replace(ours, theirs)
        if name.startswith('ln1.'):
            name = name.replace('ln1', last_norm)
        renamed[prefix + name] = value
    return renamed


def official_mae():
    rest = dict(cls_token=torch.randn(1, 1, 32), mask_token=torch.randn(1, 1, 32))
    rest['decoder_blocks.0.norm1.weight'] = torch.randn(16)
    return dict(model={**timm_names(pos_rows=1 + 14 * 14), **rest})


def mmpose_mae():
    return dict(state_dict={**mmpretrain_names(pos_rows=197), 'cls_token': torch.randn(1, 1, 32)},
                meta=dict(note='as hosted'))


def mmpose_vitpose():
    return dict(state_dict={**mmpretrain_names('backbone.'),
                            'head.final_layer.weight': torch.randn(17, 32, 1, 1)},
                meta={}, message_hub=dict(log_scalars=dict(loss=HistoryBuffer([1.], [1]))))


def official_vitpose():
    return dict(state_dict={**timm_names('backbone.', pos_rows=49, last_norm='last_norm'),
                            'keypoint_head.final_layer.weight': torch.randn(17, 32, 1, 1)})


def timm_vit():
    return {**timm_names(pos_rows=197), 'cls_token': torch.randn(1, 1, 32),
            'head.weight': torch.randn(10, 32), 'head.bias': torch.randn(10)}


FORMATS = dict(official_mae=('official MAE or timm ViT', official_mae),
               mmpose_mae=('MMPose MAE', mmpose_mae),
               mmpose_vitpose=('MMPose ViTPose', mmpose_vitpose),
               official_vitpose=('official ViTPose', official_vitpose),
               timm_vit=('official MAE or timm ViT', timm_vit))


def weights_of(checkpoint):
    return checkpoint.get('model') or checkpoint.get('state_dict') or checkpoint


def saved(tmp_path, checkpoint, suffix='.pth'):
    path = tmp_path / f'weights{suffix}'
    save_file(checkpoint, path) if suffix == '.safetensors' else torch.save(checkpoint, path)
    return str(path)


@pytest.mark.parametrize('format_name, make', FORMATS.values(), ids=FORMATS)
def test_every_key_is_accounted_for(tmp_path, format_name, make):
    checkpoint = make()
    backbone = refinepose()
    path = saved(tmp_path, checkpoint)
    report = load_encoder(backbone, read_checkpoint(path), path)
    weights = weights_of(checkpoint)
    assert report.format == format_name
    assert len(report.loaded) + len(report.left_out) == len(weights)
    assert set(report.loaded) | set(report.fresh) == set(backbone.state_dict())
    # The patch embedding makes room for the stem; nothing else of the encoder may be missing.
    assert sum('patch_embed' in key for key in report.left_out) == 2
    assert all(key.startswith('patch_embed.') for key in report.fresh)
    expected = mmpretrain_names()
    for name in report.loaded:
        if name != 'pos_embed':
            assert torch.equal(backbone.state_dict()[name], expected[name]), name


@pytest.mark.parametrize('make', [make for _, make in FORMATS.values()], ids=FORMATS)
def test_a_plain_vit_takes_the_patch_embedding_too(make):
    backbone = refinepose(**PLAIN)
    report = load_encoder(backbone, weights_of(make()), 'file')
    assert not report.fresh and not any('patch_embed' in key for key in report.left_out)
    assert torch.equal(backbone.patch_embed.projection.weight,
                       mmpretrain_names()['patch_embed.projection.weight'])


def test_class_row_is_dropped_and_the_square_grid_interpolated():
    backbone = refinepose()
    report = load_encoder(backbone, weights_of(official_mae()), 'file')
    rows = mmpretrain_names(pos_rows=197)['pos_embed'][:, 1:]
    assert torch.equal(backbone.pos_embed, resize_pos_embed(rows, (14, 14), (8, 6)))
    assert report.pos_embed == 'class row dropped, 14x14 -> 8x6'


def test_class_row_of_official_vitpose_is_folded_in():
    backbone = refinepose()
    load_encoder(backbone, weights_of(official_vitpose()), 'file')
    rows = mmpretrain_names(pos_rows=49)['pos_embed']
    assert torch.equal(backbone.pos_embed, rows[:, 1:] + rows[:, :1])


def test_four_to_three_grid_is_interpolated_to_another_size():
    backbone = ShortcutViT(ARCH, (256, 256))
    report = load_encoder(backbone, weights_of(mmpose_vitpose()), 'file')
    assert report.pos_embed == '8x6 -> 16x16'


def test_a_refinepose_checkpoint_brings_its_stem(tmp_path):
    source, target = refinepose(shortcut='gated'), refinepose(shortcut='gated')
    source.init_weights()
    torch.nn.init.normal_(source.gates)
    path = saved(tmp_path, dict(state_dict={
        **{f'backbone.{k}': v for k, v in source.state_dict().items()},
        'head.final_layer.bias': torch.zeros(17)}))
    report = load_encoder(target, read_checkpoint(path), path)
    assert report.format == 'RefinePose'
    assert report.left_out == ['head.final_layer.bias'] and not report.fresh
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name


def test_gates_start_fresh_and_keep_the_pretrained_function():
    plain, gated = refinepose(**PLAIN), refinepose(stem=PLAIN['stem'], shortcut='gated')
    for backbone in (plain, gated):
        load_encoder(backbone, weights_of(mmpose_vitpose()), 'file')
    images = torch.randn(1, 3, *IMAGE_SIZE)
    torch.testing.assert_close(gated.eval()(images)[-1], plain.eval()(images)[-1])


def test_as_init_cfg_it_has_the_last_word_and_reports_once(tmp_path, caplog):
    path = saved(tmp_path, mmpose_mae())
    source = refinepose()
    source.init_weights()
    stem = saved(tmp_path / '.', {f'backbone.{k}': v for k, v in source.state_dict().items()},
                 '.safetensors')
    for checkpoint, expected in ((path, mmpretrain_names()), (stem, source.state_dict())):
        model = MODELS.build(dict(
            type='TopdownPoseEstimator',
            backbone=dict(type='ShortcutViT', arch=ARCH, img_size=IMAGE_SIZE,
                          init_cfg=dict(type='EncoderWeights', checkpoint=checkpoint)),
            head=dict(type='FusionHead', in_channels=32, out_channels=17)))
        model.init_weights()
        loaded = model.backbone.state_dict()
        for name in loaded:
            if name in expected and not name.startswith(('patch_embed', 'pos_embed')) \
                    or checkpoint == stem:
                assert torch.equal(loaded[name], expected[name]), name


def break_one(change):
    weights = weights_of(mmpose_vitpose())
    change(weights)
    return weights


@pytest.mark.parametrize('change, message', [
    (lambda w: w.pop('backbone.layers.2.ln2.bias'), r'missing: layers\.\*\.ln2\.bias'),
    (lambda w: w.update({'backbone.layers.1.ls1.gamma': torch.ones(32)}),
     r'unknown: layers\.\*\.ls1\.gamma'),
    (lambda w: w.update({'teacher.weight': torch.ones(1)}), 'unknown: teacher.weight'),
    (lambda w: w.update({'backbone.layers.0.attn.qkv.weight': torch.ones(32, 32)}),
     r'layers\.0\.attn\.qkv\.weight: expected \(96, 32\), got \(32, 32\)'),
    (lambda w: w.update({'backbone.pos_embed': torch.ones(1, 50, 32)}),
     'the 50 rows of the position embedding'),
    (lambda w: w.pop('backbone.layers.0.ln1.weight'), 'none of the known formats'),
])
def test_what_does_not_fit_is_named_and_nothing_is_loaded(change, message):
    backbone = refinepose()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        load_encoder(backbone, break_one(change), 'file.pth')
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_stem_of_our_kind_with_other_switches_is_refused():
    weights = {f'backbone.{k}': v for k, v in refinepose().state_dict().items()}
    other = refinepose(stem=dict(type='GradualEmbedding', aggregate=False))
    with pytest.raises(ValueError, match=r'unknown: patch_embed\.aggregations'):
        load_encoder(other, weights, 'file')


def test_the_command_converts(tmp_path, capsys):
    # `tiny` is the smallest arch that the command line offers.
    source = ShortcutViT('tiny', (64, 48), **PLAIN)
    path = saved(tmp_path, dict(state_dict={
        f'backbone.{k}': v for k, v in source.state_dict().items()}))
    output = tmp_path / 'encoder.pth'
    code = run(argparse.Namespace(checkpoint=path, arch='tiny', img_size=(64, 48), plain=False,
                                  output=str(output)))
    assert code == 0
    assert 'recognised as MMPose ViTPose' in capsys.readouterr().out
    target = ShortcutViT('tiny', (64, 48), init_cfg=dict(
        type='EncoderWeights', checkpoint=str(output)))
    target.init_weights()
    assert torch.equal(target.layers[3].ffn.layers[1].weight, source.layers[3].ffn.layers[1].weight)


def test_equals_mmpretrain():
    pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
    from mmpretrain.models import VisionTransformer
    theirs = VisionTransformer(
        arch=dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64),
        img_size=IMAGE_SIZE, patch_size=16, with_cls_token=False, out_type='featmap',
        patch_cfg=dict(padding=2))
    theirs.eval()  # returns nothing
    torch.nn.init.normal_(theirs.pos_embed)
    ours = refinepose(**PLAIN).eval()
    load_encoder(ours, theirs.state_dict(), 'mmpretrain')
    images = torch.randn(2, 3, *IMAGE_SIZE)
    torch.testing.assert_close(ours(images)[-1], theirs(images)[-1], rtol=0, atol=1e-5)


def test_equals_timm():
    timm = pytest.importorskip('timm', reason='timm is not installed')
    theirs = timm.models.VisionTransformer(
        img_size=IMAGE_SIZE, embed_dim=32, depth=4, num_heads=4, mlp_ratio=2, num_classes=3).eval()
    ours = refinepose(stem=dict(type='PatchEmbedding', padding=0), shortcut='none').eval()
    load_encoder(ours, theirs.state_dict(), 'timm')
    images = torch.randn(2, 3, *IMAGE_SIZE)
    tokens = theirs.patch_embed(images) + theirs.pos_embed[:, 1:]
    expected = theirs.norm(theirs.blocks(tokens)).transpose(1, 2).unflatten(2, (8, 6))
    torch.testing.assert_close(ours(images)[-1], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_initializer_reads_both_kinds_of_files(tmp_path, suffix):
    path = saved(tmp_path, timm_vit(), suffix)
    backbone = refinepose()
    EncoderWeights(path)(backbone)
    assert torch.equal(backbone.ln1.weight, mmpretrain_names()['ln1.weight'])
