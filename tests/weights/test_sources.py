"""Equality in double precision with the code that each format comes from, where installed.

LayerNorm's epsilon, which no file shows, is set to the source's; class tokens take no part.
"""

import copy
import functools
import sys

import pytest
import torch
from encoders import ARCH, IMAGE_SIZE, refinepose, timm_names
from torch import nn

from refinepose_mm.checkpoints import open_checkpoint
from refinepose_mm.weights.formats import FORMATS
from refinepose_mm.weights.loading import load_encoder, load_source
from refinepose_mm.weights.proof import NoProof, prove
from refinepose_mm.weights.source import describe

SIZES = dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=4)
VIT = dict(SIZES, intermediate_size=64, image_size=IMAGE_SIZE)


@pytest.fixture(scope='module')
def timm():
    return pytest.importorskip('timm', reason='timm is not installed')


@pytest.fixture(scope='module')
def transformers():
    return pytest.importorskip('transformers', reason='transformers is not installed')


def images(size=IMAGE_SIZE):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, *size, generator=generator, dtype=torch.double)


def shaken(model):
    """The model with random values everywhere, in double precision."""
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point() and 'running_var' not in name:
            value.copy_(torch.randn(value.shape, generator=generator) / 4)
    model.double().eval()  # mmpretrain's returns nothing
    return model


@torch.no_grad()
def require_equal(weights, expected, meta=dict(num_heads=4), size=IMAGE_SIZE, atol=1e-10,
                  is_proven=True, keep=False, **options):
    """Load the weights into ours, of the arch that the file says, and compare the token map."""
    source = describe(weights, 'file', meta=meta, **options)
    arch = source.arch._replace(layer_scale=keep)
    ours = refinepose(arch.as_config(), size, shortcut='none', stem=dict(
        type='PatchEmbedding', padding=source.format.padding)).double().eval()
    report = load_source(ours, source)
    torch.testing.assert_close(ours(images(size)).feature_map, expected, rtol=0, atol=atol)
    assert not [difference for difference in report.differences
                if 'tokens' not in difference], report.differences
    if is_proven:
        proof = prove(source)
        assert proof.holds and proof.difference < max(1e-12, atol)
    return report


def as_map(tokens, size=IMAGE_SIZE):
    return tokens.transpose(1, 2).unflatten(2, (size[0] // 16, size[1] // 16))


@pytest.mark.parametrize('options', [
    dict(), dict(init_values=.1), dict(reg_tokens=4, no_embed_class=True, init_values=.1),
    dict(class_token=False, global_pool='map'), dict(no_embed_class=True)],
    ids=['ViT', 'LayerScale', 'registers', 'attention pooling', 'no class row'])
@torch.no_grad()
@pytest.mark.parametrize('keep', [False, True])
def test_timm(timm, options, keep):
    theirs = shaken(timm.models.VisionTransformer(
        img_size=IMAGE_SIZE, embed_dim=32, depth=4, num_heads=4, mlp_ratio=2, num_classes=3,
        **options))
    rows = theirs.pos_embed[:, -48:]
    tokens = theirs.norm(theirs.blocks(theirs.patch_embed(images()) + rows))
    report = require_equal(theirs.state_dict(), as_map(tokens),
                           keep=keep and 'init_values' in options)
    assert any('LayerScale' in note for note in report.notes) == (
        'init_values' in options and not keep)


@pytest.mark.parametrize('activation, theirs', [('gelu', 'gelu'), ('quick_gelu', 'quick_gelu'),
                                                ('gelu_tanh', 'gelu_tanh')])
@torch.no_grad()
def test_clip_and_siglip_of_timm(timm, activation, theirs):
    siglip = activation == 'gelu_tanh'
    options = dict(class_token=False, global_pool='map') if siglip else dict(
        pre_norm=True, norm_layer=functools.partial(nn.LayerNorm, eps=1e-5))
    model = shaken(timm.models.VisionTransformer(
        img_size=IMAGE_SIZE, embed_dim=32, depth=4, num_heads=4, mlp_ratio=2, num_classes=3,
        act_layer=theirs, **options))
    tokens = model.norm_pre(model.patch_embed(images()) + model.pos_embed[:, -48:])
    expected = as_map(model.norm(model.blocks(tokens)))
    report = require_equal(model.state_dict(), expected,
                           meta=dict(num_heads=4, activation=activation))
    assert report.format == ('timm SigLIP' if siglip else 'timm CLIP') and not report.conditions
    if activation != 'gelu':  # the file is silent: the proof by the other function fails
        source = describe(model.state_dict(), 'file', num_heads=4)
        assert source.open_activation
        silent = refinepose(source.arch.as_config(), shortcut='none', stem=dict(
            type='PatchEmbedding', padding=0)).double().eval()
        load_source(silent, source)
        assert (silent(images()).feature_map - expected).abs().max() > 1e-5


def dinov3_of_timm(timm, bias):
    from timm.models.eva import Eva
    model = shaken(Eva(
        img_size=IMAGE_SIZE, embed_dim=32, depth=4, num_heads=4, mlp_ratio=2, num_classes=0,
        qkv_bias=bias, init_values=.1, rope_type='dinov3', rope_temperature=100,
        rope_rotate_half=True, use_rot_pos_emb=True, use_abs_pos_emb=False, num_reg_tokens=4,
        use_fc_norm=False, norm_layer=functools.partial(nn.LayerNorm, eps=1e-5)))
    tokens, turns = model._pos_embed(model.patch_embed(images()))
    tokens = tokens[:, 5:]  # class token and registers take no part
    for block in model.blocks:
        block.attn.num_prefix_tokens = 0
        tokens = block(tokens, rope=turns.double())
    return model, as_map(model.norm(tokens))


@pytest.mark.parametrize('bias', [False, True])
@torch.no_grad()
def test_dinov3_of_timm(timm, bias):
    model, expected = dinov3_of_timm(timm, bias)
    for keep in (False, True):
        report = require_equal(model.state_dict(), expected, atol=1e-6, keep=keep)
        assert report.format == 'timm DINOv3'


@torch.no_grad()
def test_official_dinov3(timm):
    """Names of the official code, whose bias of the keys is masked; timm reads them, too."""
    model, _ = dinov3_of_timm(timm, True)
    official = {}
    for key, value in model.state_dict().items():
        for theirs, ours in (('reg_token', 'storage_tokens'), ('gamma_1', 'ls1.gamma'),
                             ('gamma_2', 'ls2.gamma')):
            key = key.replace(theirs, ours)
        if not key.endswith(('q_bias', 'v_bias')):
            official[key] = value
    for i, block in enumerate(model.blocks):
        attention = block.attn
        official[f'blocks.{i}.attn.qkv.bias'] = torch.cat(
            [attention.q_bias, torch.ones(32), attention.v_bias])
        official[f'blocks.{i}.attn.qkv.bias_mask'] = torch.tensor([1., 0, 1]).repeat_interleave(32)
    periods = 100**(torch.arange(2) / 2)
    official.update({'mask_token': torch.zeros(1, 32), 'rope_embed.periods': periods})
    _, expected = dinov3_of_timm(timm, True)
    report = require_equal(official, expected, atol=1e-6)
    assert report.format == 'official DINOv3'
    source = describe({**official, 'rope_embed.periods': 2 * periods}, 'file', num_heads=4)
    with pytest.raises(ValueError, match='other rotary periods than those of base 100'):
        load_source(refinepose(source.arch.as_config()), source)


@torch.no_grad()
def test_official_deit3_has_to_be_told(timm):
    model = shaken(timm.models.VisionTransformer(
        img_size=IMAGE_SIZE, embed_dim=32, depth=4, num_heads=4, mlp_ratio=2, num_classes=3,
        init_values=.1, no_embed_class=True))
    weights = {key.replace('ls1.gamma', 'gamma_1').replace('ls2.gamma', 'gamma_2'): value
               for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="say --format 'official DeiT-III'"):
        describe(weights, 'file', num_heads=4)
    tokens = model.blocks(model.patch_embed(images()) + model.pos_embed)
    require_equal(weights, as_map(model.norm(tokens)), source_format='official DeiT-III')


@torch.no_grad()
def test_official_dinov2_with_registers(timm):
    """A row for the class token and none for registers, as the official code has it."""
    model = shaken(timm.models.VisionTransformer(
        img_size=(128, 128), embed_dim=32, depth=4, num_heads=4, mlp_ratio=2, num_classes=0,
        init_values=.1, reg_tokens=4, no_embed_class=True))
    weights = dict(model.state_dict())
    tokens = model.norm(model.blocks(model.patch_embed(images((128, 128))) + model.pos_embed))
    weights['register_tokens'] = weights.pop('reg_token')
    weights['pos_embed'] = torch.cat([torch.zeros(1, 1, 32), weights['pos_embed']], dim=1)
    weights['mask_token'] = torch.zeros(1, 32)
    require_equal(weights, as_map(tokens, (128, 128)), size=(128, 128))


def test_timm_knows_the_heads_of_its_small_models(timm):
    """Built by name, loaded without being told; the tables are right for all published sizes."""
    for name in ('vit_tiny_patch16_224', 'vit_small_patch16_224', 'deit_small_patch16_224',
                 'deit3_small_patch16_224', 'vit_base_patch16_224', 'vit_large_patch16_224',
                 'vit_huge_patch14_224', 'vit_small_patch14_dinov2',
                 'vit_base_patch16_siglip_224', 'vit_large_patch16_siglip_256'):
        with torch.device('meta'):
            model = timm.create_model(name)
        name = 'timm SigLIP' if 'siglip' in name else 'official MAE or timm ViT'
        heads, = {found.heads[model.embed_dim, len(model.blocks)] for found in FORMATS
                  if found.name == name}
        assert heads == model.blocks[0].attn.num_heads


@torch.no_grad()
def test_small_of_timm(timm):
    theirs = shaken(timm.create_model('vit_small_patch16_224', img_size=IMAGE_SIZE))
    tokens = theirs.patch_embed(images()) + theirs.pos_embed[:, 1:]
    expected = as_map(theirs.norm(theirs.blocks(tokens)))
    small = dict(embed_dims=384, num_layers=12, num_heads=6, feedforward_channels=1536)
    for heads in (6, 12):
        ours = refinepose(dict(small, num_heads=heads), shortcut='none',
                          stem=dict(type='PatchEmbedding', padding=0)).double().eval()
        if heads == 12:
            with pytest.raises(ValueError, match='has 6 attention heads'):
                load_encoder(ours, theirs.state_dict(), 'timm')
            load_encoder(ours, theirs.state_dict(), 'timm', meta=dict(num_heads=12))
            assert (ours(images()).feature_map - expected).abs().max() > 1e-3
        else:
            load_encoder(ours, theirs.state_dict(), 'timm')
            torch.testing.assert_close(ours(images()).feature_map, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize('name', ['vit_small_plus_patch16_dinov3', 'eva02_small_patch14_224',
                                  'vit_small_patch16_rope_ape_224', 'beit_base_patch16_224',
                                  'beit3_base_patch16_224', 'vit_base_patch16_sapiens2',
                                  'vit_small_patch16_rope_224', 'vit_pe_spatial_base_patch16_512',
                                  'vit_pe_core_base_patch16_224', 'aimv2_large_patch14_224',
                                  'samvit_base_patch16', 'swin_tiny_patch4_window7_224',
                                  'cait_xxs24_224'])
def test_other_encoders_of_timm_are_refused_with_the_reason(timm, name):
    with torch.device('meta'):
        weights = timm.create_model(name).state_dict()
    with pytest.raises(ValueError, match='does not fit this encoder: .* belongs to '):
        load_encoder(refinepose(), weights, name)


def on_disk_and_in_memory(model, folder):
    """The weights as files name them, with their config, and as the model does."""
    folder.mkdir(exist_ok=True)
    model.save_pretrained(folder)
    yield open_checkpoint(folder)
    yield model.state_dict(), dict(num_heads=4)


@torch.no_grad()
def run_vit(model, size=IMAGE_SIZE):
    """A ViT of Hugging Face without its class token."""
    tokens = model.embeddings.patch_embeddings(images(size))
    tokens = tokens + model.embeddings.position_embeddings[:, -tokens.shape[1]:]
    for layer in getattr(model, 'layers', None) or model.encoder.layer:
        tokens = layer(tokens)
        tokens = tokens[0] if isinstance(tokens, tuple) else tokens
    return as_map(model.layernorm(tokens), size)


@pytest.mark.parametrize('name, part', [
    ('ViTModel', ''), ('ViTForImageClassification', 'vit'), ('ViTMAEForPreTraining', 'vit'),
    ('DeiTModel', ''), ('DeiTForImageClassificationWithTeacher', 'deit'), ('IJepaModel', ''),
    ('Dinov2Model', ''), ('Dinov2ForImageClassification', 'dinov2'),
    ('Dinov2WithRegistersModel', '')])
def test_hugging_face_vits(transformers, tmp_path, name, part):
    kind = getattr(transformers, name)
    options = dict(SIZES, image_size=IMAGE_SIZE, patch_size=16, mlp_ratio=2) if (
        'Dinov2' in name) else VIT
    size = IMAGE_SIZE
    if 'MAE' in name:  # whose initialisation is for squares
        size = (128, 128)
        options = dict(options, image_size=size, decoder_hidden_size=16,
                       decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
                       decoder_intermediate_size=32)
    model = shaken(kind(kind.config_class(**options)))
    expected = run_vit(getattr(model, part) if part else model, size)
    for weights, meta in on_disk_and_in_memory(model, tmp_path):
        report = require_equal(weights, expected, meta=meta, size=size)
        assert report.heads.number == 4
        assert sorted(sum(report.loaded.values(), report.left_out)) == sorted(weights)


@pytest.mark.parametrize('registers', [0, 4])
@torch.no_grad()
def test_hugging_face_dinov3(transformers, tmp_path, registers):
    model = shaken(transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(
        **SIZES, intermediate_size=64, image_size=128, num_register_tokens=registers)))
    turns = model.rope_embeddings(images())
    tokens = model.embeddings(images())[:, 1 + registers:]
    for layer in model.model.layer:
        tokens = layer(tokens, position_embeddings=turns)
    expected = as_map(model.norm(tokens))
    for weights, meta in on_disk_and_in_memory(model, tmp_path):
        for keep in (False, True):
            report = require_equal(weights, expected, meta=meta, atol=1e-6, keep=keep)
        assert report.format == 'Hugging Face DINOv3'
        left = [] if not registers else ['embeddings.register_tokens']
        assert set(left) < set(report.left_out)


@torch.no_grad()
def test_epsilon_and_activation_of_hugging_face_come_from_its_config(transformers, tmp_path):
    model = shaken(transformers.ViTModel(transformers.ViTConfig(
        **VIT, layer_norm_eps=1e-2, hidden_act='gelu_pytorch_tanh')))
    model.save_pretrained(tmp_path)
    weights, meta = open_checkpoint(tmp_path)
    require_equal(weights, run_vit(model), meta=meta)
    ours = refinepose(shortcut='none')
    report = load_encoder(ours, weights, 'file', meta=meta)
    assert [difference for difference in report.differences if 'arch' in difference] == [
        'LayerNorm eps is 1e-06, the source has 0.01: arch eps=0.01',
        "the activation is gelu, the source has gelu_tanh: arch activation='gelu_tanh'"]


def vitpose(transformers, **options):
    backbone = transformers.VitPoseBackboneConfig(
        image_size=IMAGE_SIZE, patch_size=(16, 16), mlp_ratio=2, **SIZES, **options)
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=17,
                                        use_simple_decoder=False)
    return shaken(transformers.VitPoseForPoseEstimation(config))


@torch.no_grad()
def test_hugging_face_vitpose(transformers, tmp_path):
    model = vitpose(transformers)
    expected = as_map(model.backbone(images()).feature_maps[-1])
    for weights, meta in on_disk_and_in_memory(model, tmp_path):
        report = require_equal(weights, expected, meta=meta)
        assert report.format == 'Hugging Face VitPose'


@pytest.mark.parametrize('number, expert', enumerate(
    ('coco', 'aic', 'mpii', 'ap10k', 'apt36k', 'wholebody')))
@torch.no_grad()
def test_hugging_face_vitpose_plus(transformers, number, expert):
    model = vitpose(transformers, num_experts=6, part_features=8)
    expected = as_map(model.backbone(
        images(), dataset_index=torch.tensor([number] * 2)).feature_maps[-1])
    require_equal(model.state_dict(), expected, expert=expert)


@torch.no_grad()
def test_half_precision_is_converted_before_it_is_multiplied(transformers):
    model = shaken(transformers.Dinov2Model(transformers.Dinov2Config(
        **SIZES, image_size=IMAGE_SIZE, patch_size=16, mlp_ratio=2)))
    half = copy.deepcopy(model).half()
    expected = run_vit(half.double())
    ours = refinepose(shortcut='none', stem=dict(type='PatchEmbedding', padding=0)).double().eval()
    load_encoder(ours, half.half().state_dict(), 'file', num_heads=4)
    torch.testing.assert_close(ours(images()).feature_map, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('class_token', [False, True])
@torch.no_grad()
def test_mmpretrain(class_token):
    pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
    from mmpretrain.models import VisionTransformer
    theirs = shaken(VisionTransformer(
        arch=ARCH, img_size=IMAGE_SIZE, patch_size=16, with_cls_token=class_token,
        out_type='featmap', patch_cfg=dict() if class_token else dict(padding=2)))
    if class_token:  # takes no part
        tokens = theirs.patch_embed(images())[0] + theirs.pos_embed[:, 1:]
        for layer in theirs.layers:
            tokens = layer(tokens)
        require_equal(theirs.state_dict(), as_map(theirs.ln1(tokens)))
        return
    weights = {f'backbone.{name}': value for name, value in theirs.state_dict().items()}
    require_equal(weights, theirs(images())[-1])


def test_no_proof_says_why(monkeypatch):
    """A package that is missing, a source that is in none, and a file without a stem."""
    weights = timm_names()
    monkeypatch.setitem(sys.modules, 'timm', None)
    for change, message in (
            (lambda w: w, 'timm is not installed'),
            (lambda w: timm_names('backbone.', pos_rows=49), 'in no package'),
            (lambda w: {key: value for key, value in w.items() if 'patch' not in key},
             'no patch embedding')):
        with pytest.raises(NoProof, match=message):
            prove(describe(change(weights), 'file', num_heads=4))
