"""Equality in double precision with the code that each format comes from, where installed.

LayerNorm's epsilon, which no file shows, is set to the source's; class tokens take no part.
"""

import copy

import pytest
import torch
from encoders import ARCH, IMAGE_SIZE, refinepose
from torch import nn

from refinepose_mm.checkpoints import open_checkpoint
from refinepose_mm.weights import load_encoder
from refinepose_mm.weights.formats import FORMATS

EPS = {found.name: found.eps for found in FORMATS}
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
def require_equal(weights, expected, padding=0, meta=dict(num_heads=4), size=IMAGE_SIZE, **options):
    """Load the weights into ours and compare the token map."""
    ours = refinepose(img_size=size, shortcut='none',
                      stem=dict(type='PatchEmbedding', padding=padding)).double().eval()
    report = load_encoder(ours, weights, 'file', meta=meta, **options)
    for module in ours.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = EPS[report.format]
    torch.testing.assert_close(ours(images(size)).feature_map, expected, rtol=0, atol=1e-10)
    return report


def as_map(tokens, size=IMAGE_SIZE):
    return tokens.transpose(1, 2).unflatten(2, (size[0] // 16, size[1] // 16))


@pytest.mark.parametrize('options', [
    dict(), dict(init_values=.1), dict(reg_tokens=4, no_embed_class=True, init_values=.1),
    dict(class_token=False, global_pool='map'), dict(no_embed_class=True)],
    ids=['ViT', 'LayerScale', 'registers', 'attention pooling', 'no class row'])
@torch.no_grad()
def test_timm(timm, options):
    theirs = shaken(timm.models.VisionTransformer(
        img_size=IMAGE_SIZE, embed_dim=32, depth=4, num_heads=4, mlp_ratio=2, num_classes=3,
        **options))
    rows = theirs.pos_embed[:, -48:]
    tokens = theirs.norm(theirs.blocks(theirs.patch_embed(images()) + rows))
    require_equal(theirs.state_dict(), as_map(tokens))


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


@pytest.mark.parametrize('name', ['vit_small_patch16_dinov3', 'eva02_small_patch14_224',
                                  'vit_small_patch16_rope_ape_224', 'beit_base_patch16_224',
                                  'beit3_base_patch16_224', 'vit_base_patch16_clip_224',
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
        report = require_equal(weights, expected, padding=2, meta=meta)
        assert report.format == 'Hugging Face VitPose'


@pytest.mark.parametrize('number, expert', enumerate(
    ('coco', 'aic', 'mpii', 'ap10k', 'apt36k', 'wholebody')))
@torch.no_grad()
def test_hugging_face_vitpose_plus(transformers, number, expert):
    model = vitpose(transformers, num_experts=6, part_features=8)
    expected = as_map(model.backbone(
        images(), dataset_index=torch.tensor([number] * 2)).feature_maps[-1])
    require_equal(model.state_dict(), expected, padding=2, expert=expert)


@torch.no_grad()
def test_half_precision_is_converted_before_it_is_multiplied(transformers):
    model = shaken(transformers.Dinov2Model(transformers.Dinov2Config(
        **SIZES, image_size=IMAGE_SIZE, patch_size=16, mlp_ratio=2)))
    half = copy.deepcopy(model).half()
    expected = run_vit(half.double())
    ours = refinepose(shortcut='none', stem=dict(type='PatchEmbedding', padding=0)).double().eval()
    load_encoder(ours, half.half().state_dict(), 'file', num_heads=4)
    torch.testing.assert_close(ours(images()).feature_map, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_mmpretrain():
    pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
    from mmpretrain.models import VisionTransformer
    theirs = shaken(VisionTransformer(
        arch=ARCH, img_size=IMAGE_SIZE, patch_size=16, with_cls_token=False, out_type='featmap',
        patch_cfg=dict(padding=2)))
    require_equal(theirs.state_dict(), theirs(images())[-1], padding=2)
