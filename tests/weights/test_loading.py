"""Every format of pretrained encoders: small files with the right names and random values."""

import functools

import pytest
import torch
from conftest import ROOT
from encoders import (
    ARCH,
    IMAGE_SIZE,
    PLAIN,
    hugging_face_names,
    mmpretrain_names,
    reference,
    refinepose,
    timm_names,
)
from mmengine.logging import HistoryBuffer
from mmpose.registry import MODELS
from safetensors.torch import save_file

from refinepose_mm import weights as package
from refinepose_mm.checkpoints import (
    WRAPPERS,
    open_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from refinepose_mm.cli import main
from refinepose_mm.models import ShortcutViT
from refinepose_mm.models.shortcut_vit import resize_pos_embed
from refinepose_mm.weights import EncoderWeights
from refinepose_mm.weights.conversion import EXPERTS
from refinepose_mm.weights.formats import FORMATS as FORMATS_KNOWN

# Nobody knows the number of heads of so small encoders.
load_encoder = functools.partial(package.load_encoder, num_heads=4)


def token(rows=1):
    return torch.randn(1, rows, 32)


def official_mae():
    rest = dict(cls_token=token(), mask_token=token())
    rest['decoder_blocks.0.norm1.weight'] = torch.randn(16)
    return dict(model={**timm_names(pos_rows=1 + 14 * 14), **rest})


def mmpose_mae():
    return dict(state_dict={**mmpretrain_names(pos_rows=197), 'cls_token': token()},
                meta=dict(note='as hosted'))


def mmpretrain_classifier():
    return dict(state_dict={**mmpretrain_names('backbone.', pos_rows=197),
                            'backbone.cls_token': token(),
                            'head.layers.head.weight': torch.randn(10, 32)})


def mmpose_vitpose():
    return dict(state_dict={**mmpretrain_names('backbone.'),
                            'head.final_layer.weight': torch.randn(17, 32, 1, 1)},
                meta={}, message_hub=dict(log_scalars=dict(loss=HistoryBuffer([1.], [1]))))


def official_vitpose():
    return dict(state_dict={**timm_names('backbone.', pos_rows=49, last_norm='last_norm'),
                            'keypoint_head.final_layer.weight': torch.randn(17, 32, 1, 1)})


def timm_vit():
    return {**timm_names(pos_rows=197), 'cls_token': token(),
            'head.weight': torch.randn(10, 32), 'head.bias': torch.randn(10)}


def timm_distilled():
    return {**timm_names(pos_rows=198), 'cls_token': token(), 'dist_token': token(),
            'head.weight': torch.randn(10, 32), 'head_dist.weight': torch.randn(10, 32)}


def timm_siglip():
    return {**timm_names(pos_rows=196), 'attn_pool.latent': token(),
            'attn_pool.kv.weight': torch.randn(64, 32)}


def moco():
    return dict(state_dict={**timm_names('module.base_encoder.', pos_rows=197),
                            'module.base_encoder.cls_token': token(),
                            'module.base_encoder.head.0.weight': torch.randn(4, 32),
                            **timm_names('module.momentum_encoder.', pos_rows=197),
                            'module.predictor.0.weight': torch.randn(4, 4)})


def dino():
    return dict(teacher={**timm_names('backbone.', pos_rows=197), 'backbone.cls_token': token(),
                         'head.mlp.0.weight': torch.randn(8, 32)}, student={}, epoch=3)


def ijepa():
    return dict(encoder={}, predictor={}, target_encoder=timm_names('module.', pos_rows=196))


def hf_vitpose():
    return {**hugging_face_names('backbone.', pos_rows=49),
            'head.deconv1.weight': torch.randn(32, 8, 4, 4)}


def hf_vit():
    return {**hugging_face_names('vit.', pos_rows=197), 'vit.embeddings.cls_token': token(),
            'classifier.weight': torch.randn(10, 32)}


def hf_vit_in_memory():
    return {**hugging_face_names(pos_rows=197, in_memory=True), 'embeddings.cls_token': token(),
            'pooler.dense.weight': torch.randn(32, 32)}


def hf_mae():
    return {**hugging_face_names('vit.', pos_rows=197), 'vit.embeddings.cls_token': token(),
            **hugging_face_names('decoder.decoder_'), 'decoder.mask_token': token()}


def hf_dinov2():
    return {**hugging_face_names('dinov2.', pos_rows=1370, norms={
                'layernorm_before': 'norm1', 'layernorm_after': 'norm2',
                'intermediate.dense': 'mlp.fc1', '.output.dense': '.mlp.fc2',
                'attention.mlp.fc2': 'attention.output.dense'}),
            'dinov2.embeddings.cls_token': token(), 'dinov2.embeddings.mask_token': token()}


MAE_OR_TIMM = 'official MAE or timm ViT'
FORMATS = dict(official_mae=('official MAE with decoder', official_mae),
               mmpose_mae=('MMPose MAE or mmpretrain ViT', mmpose_mae),
               mmpretrain=('MMPose MAE or mmpretrain ViT', mmpretrain_classifier),
               mmpose_vitpose=('MMPose ViTPose', mmpose_vitpose),
               official_vitpose=('official ViTPose', official_vitpose),
               timm_vit=(MAE_OR_TIMM, timm_vit), timm_distilled=(MAE_OR_TIMM, timm_distilled),
               timm_siglip=('timm SigLIP', timm_siglip), moco=('MoCo-v3', moco),
               dino=(MAE_OR_TIMM, dino), ijepa=(MAE_OR_TIMM, ijepa),
               hf_vitpose=('Hugging Face VitPose', hf_vitpose),
               hf_vit=('Hugging Face ViT', hf_vit), hf_mae=('Hugging Face ViT', hf_mae),
               hf_vit_in_memory=('Hugging Face ViT', hf_vit_in_memory),
               hf_dinov2=('Hugging Face Dinov2', hf_dinov2))


def weights_of(checkpoint):
    return next((checkpoint[name] for name in WRAPPERS if name in checkpoint), checkpoint)


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
    keys = [key.replace('module.', '') for key in weights_of(checkpoint)]
    assert report.format == format_name
    assert sorted(sum(report.loaded.values(), report.left_out)) == sorted(keys)
    assert set(report.loaded) | set(report.fresh) == set(backbone.state_dict())
    # The patch embedding makes room for the stem; nothing else of the encoder may be missing.
    # MoCo-v3 and the MAE of Hugging Face have a second one, of what is left out.
    second = make in (moco, hf_mae)
    assert sum('patch_embed' in key for key in report.left_out) == 2 + 2 * second
    assert all(key.startswith('patch_embed.') for key in report.fresh)
    expected = mmpretrain_names()
    for name in report.loaded:
        if name != 'pos_embed':
            assert torch.equal(backbone.state_dict()[name], expected[name]), name


@pytest.mark.parametrize('make', [make for _, make in FORMATS.values()], ids=FORMATS)
def test_a_plain_vit_takes_the_patch_embedding_too(make):
    backbone = refinepose(**PLAIN)
    report = load_encoder(backbone, weights_of(make()), 'file')
    assert not report.fresh
    assert torch.equal(backbone.patch_embed.projection.weight,
                       mmpretrain_names()['patch_embed.projection.weight'])


def sapiens_pretrained():
    """0.3B and 0.6B: mmpretrain's names, a class token, 64x64 positions; without a prefix."""
    return {**mmpretrain_names(pos_rows=1 + 64 * 64), 'cls_token': token()}


def sapiens_pose():
    """After pose estimation: no class token, 64x48 positions, a head with convolutions."""
    return dict(state_dict={**mmpretrain_names('backbone.', pos_rows=64 * 48),
                            'head.conv_layers.0.weight': torch.randn(32, 32, 1, 1)})


@pytest.mark.parametrize('make, name, grid, padding, extra', [
    (official_vitpose, 'official ViTPose', (8, 6), 2, 1),
    (moco, 'MoCo-v3', (14, 14), 0, 1),
    (dino, 'official MAE or timm ViT', (14, 14), 0, 1),
    (ijepa, 'official MAE or timm ViT', (14, 14), 0, 0),
    (official_mae, 'official MAE with decoder', (14, 14), 0, 1),
    (sapiens_pretrained, 'MMPose MAE or mmpretrain ViT', (64, 64), 0, 1),
    (sapiens_pose, 'MMPose ViTPose', (64, 48), 2, 0),
], ids=lambda value: getattr(value, '__name__', None))
@pytest.mark.parametrize('wrapper', ['', 'module.'])
def test_formats_equal_an_independent_forward_pass(tmp_path, make, name, grid, padding, extra,
                                                   wrapper):
    """For sources that are in no package: a ViT written out, from the source's own positions."""
    path = saved(tmp_path, make())
    weights = {wrapper + key: value for key, value in read_checkpoint(path).items()}
    size = (16 * grid[0], 16 * grid[1])
    ours = ShortcutViT(ARCH, size, shortcut='none', stem=dict(
        type='PatchEmbedding', padding=padding)).double().eval()
    report = load_encoder(ours, weights, 'file')
    assert report.format == name
    rows = mmpretrain_names(pos_rows=extra + grid[0] * grid[1])
    positions = rows['pos_embed']
    rows['pos_embed'] = positions[:, extra:]
    if name == 'official ViTPose':
        rows['pos_embed'] = positions[:, 1:] + positions[:, :1]
    images = torch.randn(1, 3, *size, dtype=torch.double)
    with torch.no_grad():
        expected = reference(rows, images, num_heads=4, padding=padding)
        torch.testing.assert_close(ours(images).feature_map, expected, rtol=0, atol=1e-10)


def test_the_documentation_says_of_each_format_how_it_was_proven():
    rows = (ROOT / 'docs/weights.md').read_text(encoding='utf-8').splitlines()
    proofs = {row.split(' | ')[0][2:]: row.split(' | ')[2] for row in rows
              if row.startswith('| ') and row.count(' | ') == 2}
    for found in FORMATS_KNOWN:
        assert found.name in proofs
        packages = dict(timm="timm's code", transformers="transformers' code",
                        mmpretrain="mmpretrain's code")
        assert found.package == '' or found.name.startswith(('MoCo', 'official MAE with')) or (
            packages[found.package] in proofs[found.name])


@pytest.mark.parametrize('width, depth', [(1024, 24), (1280, 32)])  # Sapiens 0.3B and 0.6B
def test_sapiens_has_16_heads(width, depth):
    for name in ('MMPose ViTPose', 'MMPose MAE or mmpretrain ViT'):
        found, = (found for found in FORMATS_KNOWN if found.name == name)
        assert found.heads[width, depth] == 16


@pytest.mark.parametrize('prefix', ['module.', '_orig_mod.', 'module._orig_mod.'])
def test_wrappers_of_training_are_taken_off(prefix):
    backbone = refinepose()
    weights = {prefix + key: value for key, value in weights_of(mmpose_vitpose()).items()}
    assert load_encoder(backbone, weights, 'file').format == 'MMPose ViTPose'


def test_class_row_is_dropped_and_the_square_grid_interpolated():
    backbone = refinepose()
    report = load_encoder(backbone, weights_of(official_mae()), 'file')
    rows = mmpretrain_names(pos_rows=197)['pos_embed'][:, 1:]
    assert torch.equal(backbone.pos_embed, resize_pos_embed(rows, (14, 14), (8, 6)))
    assert report.notes == ['pos_embed: class row dropped', 'pos_embed: 14x14 -> 8x6']


@pytest.mark.parametrize('rows, tokens, dropped', [
    (198, dict(cls_token=1, dist_token=1), 2),  # DeiT, distilled
    (196, dict(cls_token=1), 0),  # DeiT-III
    (1370, dict(cls_token=1, register_tokens=4), 1),  # official DINOv2
    (1369, dict(cls_token=1, reg_token=4), 0),  # DINOv2 of timm
    (1374, dict(cls_token=1, reg_token=4), 5)])
def test_rows_of_other_tokens_are_dropped(rows, tokens, dropped):
    backbone = refinepose()
    weights = {**timm_names(pos_rows=rows), **{name: token(n) for name, n in tokens.items()}}
    report = load_encoder(backbone, weights, 'file')
    side = int((rows - dropped)**.5)
    kept = mmpretrain_names(pos_rows=rows)['pos_embed'][:, dropped:]
    assert torch.equal(backbone.pos_embed, resize_pos_embed(kept, (side, side), (8, 6)))
    assert set(tokens) <= set(report.left_out)
    assert f'tokens that take no part: {", ".join(tokens)}' in report.differences


def test_class_row_of_official_vitpose_is_added():
    backbone = refinepose()
    load_encoder(backbone, weights_of(official_vitpose()), 'file')
    rows = mmpretrain_names(pos_rows=49)['pos_embed']
    assert torch.equal(backbone.pos_embed, rows[:, 1:] + rows[:, :1])


def test_four_to_three_grid_is_interpolated_to_another_size():
    backbone = ShortcutViT(ARCH, (256, 256))
    report = load_encoder(backbone, weights_of(mmpose_vitpose()), 'file')
    assert report.notes == ['pos_embed: 8x6 -> 16x16']


def test_layer_scale_is_folded_into_the_layers_before_it():
    weights = timm_names()
    scales = {f'blocks.{i}.ls{j}.gamma': torch.randn(32) for i in range(4) for j in (1, 2)}
    backbone = refinepose()
    report = load_encoder(backbone, {**weights, **scales}, 'file')
    for i, layer in enumerate(backbone.layers):
        for target, j, name in ((layer.attn.proj, 1, 'attn.proj'),
                                (layer.ffn.layers[1], 2, 'mlp.fc2')):
            scale = scales[f'blocks.{i}.ls{j}.gamma']
            assert torch.equal(target.weight, scale[:, None] * weights[f'blocks.{i}.{name}.weight'])
            assert torch.equal(target.bias, scale * weights[f'blocks.{i}.{name}.bias'])
    assert report.notes[0].startswith('8 LayerScales folded')
    assert report.loaded['layers.0.attn.proj.weight'] == ['blocks.0.attn.proj.weight',
                                                         'blocks.0.ls1.gamma']


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_loses_no_digits_in_products(dtype):
    weights = {name: value.to(dtype) for name, value in timm_names().items()}
    scale = torch.randn(32).to(dtype)
    backbone = refinepose()
    load_encoder(backbone, {**weights, 'blocks.0.ls1.gamma': scale}, 'file')
    assert torch.equal(backbone.layers[0].attn.proj.bias,
                       scale.float() * weights['blocks.0.attn.proj.bias'].float())


def vitpose_plus(part=8):
    """Official ViTPose++: the last channels of each network come from one of six experts."""
    weights = weights_of(official_vitpose())
    experts = {}
    for key in [key for key in weights if '.mlp.fc2.' in key]:
        weights[key] = weights[key][:32 - part]
        for number in range(6):
            shape = (part, *weights[key].shape[1:])
            experts[key.replace('fc2', f'experts.{number}')] = torch.randn(shape)
    heads = {'associate_keypoint_heads.0.final_layer.weight': torch.randn(14, 32, 1, 1)}
    return {**weights, **experts, **heads}


@pytest.mark.parametrize('expert', ['coco', 'aic', 'wholebody'])
def test_one_expert_of_vitpose_plus_is_taken(expert):
    weights, backbone = vitpose_plus(), refinepose()
    report = load_encoder(backbone, weights, 'file', expert=expert)
    number = EXPERTS.index(expert)
    for i, layer in enumerate(backbone.layers):
        at = f'backbone.blocks.{i}.mlp.'
        for end in ('weight', 'bias'):
            assert torch.equal(getattr(layer.ffn.layers[1], end), torch.cat(
                [weights[f'{at}fc2.{end}'], weights[f'{at}experts.{number}.{end}']]))
    assert sorted(sum(report.loaded.values(), report.left_out)) == sorted(weights)
    assert f'expert of {expert}' in report.notes


@pytest.mark.parametrize('expert', [None, 'lspet'])
def test_an_expert_has_to_be_chosen(expert):
    with pytest.raises(ValueError, match=r'choose one of coco, aic, mpii, ap10k, apt36k, wholebo'):
        load_encoder(refinepose(), vitpose_plus(), 'file', expert=expert)
    with pytest.raises(ValueError, match='no experts'):
        load_encoder(refinepose(), weights_of(official_vitpose()), 'file', expert='coco')


def test_experts_beside_a_complete_network_are_left_out():
    weights = vitpose_plus()
    weights.update({key: value for key, value in weights_of(official_vitpose()).items()
                    if '.mlp.fc2.' in key})
    backbone = refinepose()
    report = load_encoder(backbone, weights, 'file')
    assert torch.equal(backbone.layers[1].ffn.layers[1].weight,
                       weights['backbone.blocks.1.mlp.fc2.weight'])
    assert sum('experts' in key for key in report.left_out) == 4 * 6 * 2
    with pytest.raises(ValueError, match='split for one data set already'):
        load_encoder(backbone, weights, 'file', expert='coco')


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
    assert str(report).endswith('the source: yes')  # gates show their kind
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name


def test_gates_start_fresh_and_keep_the_pretrained_function():
    plain, gated = refinepose(**PLAIN), refinepose(stem=PLAIN['stem'], shortcut='gated')
    for backbone in (plain, gated):
        report = load_encoder(backbone, weights_of(mmpose_vitpose()), 'file')
        assert str(report).endswith('the same function as the source: yes')
    images = torch.randn(1, 3, *IMAGE_SIZE)
    torch.testing.assert_close(gated.eval()(images)[-1], plain.eval()(images)[-1])


def test_the_report_says_why_the_function_is_another():
    report = load_encoder(refinepose(), weights_of(timm_siglip()), 'file')
    for word in ('the stem is new', 'no shortcuts around groups', '14x14 -> 8x6',
                 'the same function as the source: no, because the stem is new; the source has'):
        assert word in str(report)
    assert report.conditions == ['it was trained with gelu, of gelu or gelu_tanh']
    plain = load_encoder(refinepose(**PLAIN), weights_of(timm_vit()), 'file')
    assert 'pads by 2 pixels, the source by 0' in str(plain)
    assert 'the same function as the source: no, because the patch embedding' in str(plain)


def test_as_init_cfg_it_has_the_last_word(tmp_path):
    path = saved(tmp_path, mmpose_mae())
    source = refinepose()
    source.init_weights()
    stem = saved(tmp_path, {f'backbone.{k}': v for k, v in source.state_dict().items()},
                 '.safetensors')
    for checkpoint, expected in ((path, mmpretrain_names()), (stem, source.state_dict())):
        model = MODELS.build(dict(
            type='TopdownPoseEstimator',
            backbone=dict(type='ShortcutViT', arch=ARCH, img_size=IMAGE_SIZE,
                          init_cfg=dict(type='EncoderWeights', checkpoint=checkpoint,
                                        num_heads=4)),
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
    (lambda w: w.update({'backbone.layers.1.other': torch.ones(32)}),
     r'unknown: layers\.\*\.other'),
    (lambda w: w.update({'backbone.layers.1.ls1': torch.ones(31)}), r'unknown: layers\.\*\.ls1'),
    (lambda w: w.update({'teacher.weight': torch.ones(1)}), 'unknown: teacher.weight'),
    (lambda w: w.update({'backbone.layers.0.attn.qkv.weight': torch.ones(32, 32)}),
     r'layers\.0\.attn\.qkv\.weight: expected \(96, 32\), got \(32, 32\)'),
    (lambda w: w.update({'backbone.layers.0.ln2.weight': torch.ones(32, dtype=torch.int8)}),
     r'layers\.0\.ln2\.weight: expected torch\.float32, got torch\.int8'),
    (lambda w: w['backbone.layers.3.ln2.bias'].fill_(float('nan')),
     r'NaN or infinite numbers in 1 of \d+ tensors: layers\.3\.ln2\.bias'),
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


def test_a_tensor_that_is_left_out_may_be_anything():
    weights = weights_of(mmpose_vitpose())
    weights['head.final_layer.weight'].fill_(float('inf'))
    assert load_encoder(refinepose(), weights, 'file').left_out[0] == 'head.final_layer.weight'


@pytest.mark.parametrize('key, part', [
    ('rope_embed.periods', 'rotary position embedding'),
    ('blocks.0.mlp.w12.weight', 'SwiGLU'),
    ('blocks.0.mlp.fc1_g.weight', 'SwiGLU'),
    ('blocks.0.gamma_1', 'LayerScale, under names that DeiT-III shares with rotary encoders'),
    ('blocks.0.attn.q_bias', 'attention without a bias of the keys'),
    ('blocks.0.attn.q_norm.weight', 'normalised queries and keys'),
    ('blocks.0.mlp.norm.weight', 'LayerNorms inside'),
    ('blocks.0.attn.rel_pos_h', 'relative position bias'),
    ('norm_pre.weight', 'a LayerNorm before the blocks'),
])
def test_parts_that_our_encoder_lacks_are_named(key, part):
    with pytest.raises(ValueError, match=rf'does not fit this encoder: {key} belongs to .*{part}'):
        load_encoder(refinepose(), {**timm_names(), key: torch.ones(32)}, 'file')


@pytest.mark.parametrize('key, part', [
    ('vision_model.encoder.layers.0.self_attn.k_proj.weight', "timm's file loads"),
    ('layer.0.mlp.up_proj.weight', 'rotary'),
    ('layers.0.blocks.0.norm1.weight', 'hierarchy'),
    ('encoder.layers.0.rms_norm1.weight', 'RMSNorm')])
def test_unknown_formats_with_such_parts_are_named(key, part):
    with pytest.raises(ValueError, match=part):
        load_encoder(refinepose(), {key: torch.ones(32)}, 'file')


def test_a_stem_of_our_type_with_other_switches_is_refused():
    weights = {f'backbone.{k}': v for k, v in refinepose().state_dict().items()}
    other = refinepose(stem=dict(type='GradualEmbedding', aggregate=False))
    with pytest.raises(ValueError, match=r'unknown: patch_embed\.aggregations'):
        load_encoder(other, weights, 'file')


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_initializer_reads_both_kinds_of_files(tmp_path, suffix):
    path = saved(tmp_path, timm_vit(), suffix)
    backbone = refinepose()
    EncoderWeights(path, num_heads=4)(backbone)
    assert torch.equal(backbone.ln1.weight, mmpretrain_names()['ln1.weight'])


def tiny(folder, suffix='.pth'):
    """A ViTPose of `tiny`, the smallest arch that the command line offers."""
    backbone = ShortcutViT('tiny', (64, 48), **PLAIN)
    path = folder / f'vitpose{suffix}'
    write_checkpoint(path, {f'backbone.{k}': v for k, v in backbone.state_dict().items()}, {})
    return backbone, path


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_the_command_converts(tmp_path, capsys, suffix):
    source, path = tiny(tmp_path, suffix)
    output = tmp_path / f'encoder{suffix}'
    assert main(['weights', str(path), '--arch', 'tiny', '--img-size', '64', '48',
                 '--output', str(output)]) == 0
    assert 'recognised as MMPose ViTPose' in capsys.readouterr().out
    tensors, meta = open_checkpoint(output)
    assert not any('patch_embed' in name for name in tensors) and int(meta['num_heads']) == 4
    target = ShortcutViT('tiny', (64, 48), init_cfg=dict(
        type='EncoderWeights', checkpoint=str(output)))
    target.init_weights()
    assert torch.equal(target.layers[3].ffn.layers[1].weight, source.layers[3].ffn.layers[1].weight)


def test_the_command_never_writes_over_what_it_reads(tmp_path, capsys):
    _, path = tiny(tmp_path)
    before = path.read_bytes()
    words = ['weights', str(path), '--arch', 'tiny', '--img-size', '64', '48', '--output']
    assert main([*words, str(path)]) == 2
    assert 'is the input' in capsys.readouterr().err
    assert main(['weights', str(tmp_path), *words[2:], str(path)]) == 2
    broken = tmp_path / 'broken.pth'
    broken.write_text('no checkpoint')
    capsys.readouterr()
    assert main(['weights', str(broken), *words[2:], str(broken)]) == 2
    assert 'is the input' in capsys.readouterr().err  # said before anything is read
    broken.unlink()
    assert main([*words, str(tmp_path / 'none/encoder.pth')]) == 2
    assert 'not found' in capsys.readouterr().err
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_bad_calls_of_the_command_end_in_one_line(tmp_path, capsys):
    _, path = tiny(tmp_path)
    for words, message in (
            ([str(path), '--arch', 'base'], 'does not fit --arch base: it has embed_dims 128'),
            ([str(path), '--arch', 'tiny', '--num-heads', '0'], 'must be at least 1, got 0'),
            ([str(path), '--arch', 'tiny', '--num-heads', '3'],
             'has 4 attention heads, by the format; got num_heads=3'),
            ([str(tmp_path / 'none.pth')], 'not found'),
            (['https://[::1/x.pth'], 'no valid URL')):
        assert main(['weights', *words]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count('\n') == 1


def test_the_first_blocks_of_a_deeper_encoder_on_request_alone():
    arch = dict(embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=32)
    source = ShortcutViT(arch, (32, 32), dict(type='PatchEmbedding'), 'none')
    weights = {f'backbone.{name}': value for name, value in source.state_dict().items()}
    backbone = ShortcutViT(dict(arch, num_layers=2), (32, 32), shortcut='none')
    with pytest.raises(ValueError, match='does not fit .* 2 blocks.: unknown: layers'):
        load_encoder(backbone, weights, 'deep.pth', num_heads=2)
    report = load_encoder(backbone, weights, 'deep.pth', num_heads=2, first_blocks=True)
    assert 'blocks: 3 -> 2, the first ones' in report.verdict()
    assert sum(key.startswith('backbone.layers.2.') for key in report.left_out) == 12
    for name, value in backbone.layers.state_dict().items():
        assert torch.equal(value, source.layers.state_dict()[name])
    same = load_encoder(ShortcutViT(arch, (32, 32), shortcut='none'), weights, 'deep.pth',
                        num_heads=2, first_blocks=True)
    assert 'blocks' not in same.verdict()
