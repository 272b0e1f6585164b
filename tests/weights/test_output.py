"""Whole models leave as they came: MMPose's names, Hugging Face's folders, ours."""

import json

import pytest
import torch
from encoders import ARCH, IMAGE_SIZE, PLAIN, mmpretrain_names, timm_names
from mmpose.registry import MODELS

from refinepose_mm.checkpoints import open_checkpoint, write_checkpoint
from refinepose_mm.cli import main
from refinepose_mm.models import ShortcutViT
from refinepose_mm.recipes import refinepose, vitpose
from refinepose_mm.weights import load_encoder
from refinepose_mm.weights.conversion import EXPERTS

JOINTS = 5
WORDS = ['--num-heads', '4', '--img-size', *map(str, IMAGE_SIZE)]


@pytest.fixture(scope='module')
def transformers():
    return pytest.importorskip('transformers', reason='transformers is not installed')


def shaken(model):
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=generator) / 4)
            if 'running_var' in name:
                value.abs_().add_(.5)
    return model.eval()


def ours(head='classic', arch=ARCH):
    config = vitpose(arch, IMAGE_SIZE, JOINTS, head)
    return shaken(MODELS.build(config))


def images():
    return torch.randn(2, 3, *IMAGE_SIZE, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def heatmaps(model):
    features = model.backbone(images())
    return model.head(model.neck(features) if model.with_neck else features)


def saved(folder, model, name='vitpose.pth', **meta):
    path = folder / name
    write_checkpoint(path, dict(model.state_dict()), dict(num_heads=4, **meta))
    return path


@pytest.mark.parametrize('head', ['classic', 'simple'])
@torch.no_grad()
def test_a_model_of_the_hub_runs_in_mmpose_as_it_is(transformers, tmp_path, capsys, head):
    backbone = transformers.VitPoseBackboneConfig(
        image_size=IMAGE_SIZE, patch_size=(16, 16), mlp_ratio=2, hidden_size=32,
        num_hidden_layers=4, num_attention_heads=4)
    theirs = shaken(transformers.VitPoseForPoseEstimation(transformers.VitPoseConfig(
        backbone_config=backbone, num_labels=JOINTS, use_simple_decoder=head == 'simple')))
    theirs.save_pretrained(tmp_path / 'hub')
    output = tmp_path / 'vitpose.pth'
    assert main(['weights', str(tmp_path / 'hub'), *WORDS, '--write', 'model', '--output',
                 str(output)]) == 0
    report = capsys.readouterr().out
    assert f'{head} head of {JOINTS} joints' in report and 'left out' not in report
    assert 'the same function as the source: yes (largest difference' in report
    weights, meta = open_checkpoint(output)
    model = MODELS.build(vitpose(dict(ARCH, eps=1e-12), IMAGE_SIZE, JOINTS, head)).eval()
    model.load_state_dict(weights)  # all of them
    torch.testing.assert_close(heatmaps(model), theirs(images()).heatmaps, rtol=0, atol=1e-5)
    assert float(meta['eps']) == 1e-12


@pytest.mark.parametrize('head', ['classic', 'simple'])
@pytest.mark.parametrize('activation', ['gelu', 'gelu_tanh', 'quick_gelu'])
@torch.no_grad()
def test_what_is_trained_here_runs_in_transformers(transformers, tmp_path, head, activation):
    model = ours(head, dict(ARCH, activation=activation))
    path = saved(tmp_path, model, activation=activation)
    folder = tmp_path / 'hub'
    assert main(['weights', str(path), *WORDS, '--write', 'huggingface', '--output',
                 str(folder)]) == 0
    theirs, report = transformers.VitPoseForPoseEstimation.from_pretrained(
        folder, output_loading_info=True)
    assert not any(report.values())
    torch.testing.assert_close(theirs.eval()(images()).heatmaps, heatmaps(model),
                               rtol=0, atol=1e-5)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    assert processor.size == dict(height=IMAGE_SIZE[0], width=IMAGE_SIZE[1])
    # And back.
    again = tmp_path / 'again.safetensors'
    assert main(['weights', str(folder), *WORDS, '--write', 'model', '--output', str(again)]) == 0
    for name, value in open_checkpoint(again).tensors.items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=0, atol=0)


@pytest.mark.parametrize('head', ['classic', 'simple'])
def test_a_folder_for_the_hub(tmp_path, head):
    """Without transformers: the files, and the way back."""
    model = ours(head)
    path, folder = saved(tmp_path, model), tmp_path / 'hub'
    for _ in range(2):  # an earlier folder is replaced
        assert main(['weights', str(path), *WORDS, '--write', 'huggingface', '--output',
                     str(folder)]) == 0
    assert sorted(file.name for file in folder.iterdir()) == [
        'config.json', 'model.safetensors', 'preprocessor_config.json']
    config = json.loads((folder / 'config.json').read_text())
    assert config['backbone_config']['layer_norm_eps'] == 1e-6
    assert len(config['id2label']) == JOINTS
    again = tmp_path / 'again.pth'
    assert main(['weights', str(folder), *WORDS, '--write', 'model', '--output', str(again)]) == 0
    for name, value in open_checkpoint(again).tensors.items():
        assert torch.equal(value, model.state_dict()[name]), name


def official(model, number=0):
    """A ViTPose in the names of its authors, with heads of other data sets."""
    state = model.state_dict()
    weights = timm_names('backbone.', pos_rows=49, last_norm='last_norm')
    head = {key[len('head.'):]: value for key, value in state.items() if key.startswith('head.')}
    weights.update({f'keypoint_head.{key}': value for key, value in head.items()})
    for other in range(5):
        weights.update({f'associate_keypoint_heads.{other}.{key}': value + (other + 1)
                        for key, value in head.items()})
    return weights, head


@pytest.mark.parametrize('expert', EXPERTS)
def test_the_head_is_that_of_the_expert(tmp_path, expert):
    """Of a ViTPose++, and of nothing else: networks and heads by the same name."""
    weights, head = official(ours())
    for key in [key for key in weights if '.mlp.fc2.' in key]:
        full = weights[key]
        weights[key] = full[:24]
        for number in range(6):
            weights[key.replace('fc2', f'experts.{number}')] = full[24:] + number
    path, output = tmp_path / 'plus.pth', tmp_path / 'out.pth'
    write_checkpoint(path, weights, {})
    assert main(['weights', str(path), *WORDS, '--expert', expert, '--write', 'model', '--output',
                 str(output)]) == 0
    written, number = open_checkpoint(output).tensors, EXPERTS.index(expert)
    for key, value in head.items():
        assert torch.equal(written[f'head.{key}'], value + number), key
    full = mmpretrain_names()['layers.2.ffn.layers.1.bias']
    assert torch.equal(written['backbone.layers.2.ffn.layers.1.bias'],
                       torch.cat([full[:24], full[24:] + number]))


@pytest.mark.parametrize('change, words, message', [
    (lambda w: [w.pop(key) for key in list(w) if key.startswith('head.')], [], 'has no head under'),
    (lambda w: w.update({'head.conv_layers.0.weight': torch.ones(256, 256, 1, 1)}), [],
     "none of ViTPose's"),
    (lambda w: w.pop('head.deconv_layers.3.weight'), [], "none of ViTPose's"),
    (lambda w: w.update({'backbone.gates': torch.ones(1)}), [], 'unknown: gates'),
])
@pytest.mark.parametrize('write', ['model', 'huggingface'])
def test_what_is_no_vitpose_is_refused(tmp_path, capsys, change, words, message, write):
    weights = dict(ours().state_dict())
    change(weights)
    path, output = tmp_path / 'x.pth', tmp_path / 'out'
    write_checkpoint(path, weights, {})
    assert main(['weights', str(path), *WORDS, *words, '--write', write, '--output',
                 str(output)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
    assert not output.exists()


def test_refinepose_and_shortcuts_are_refused(tmp_path, capsys):
    model = shaken(MODELS.build(refinepose(ARCH, IMAGE_SIZE, JOINTS)))
    shortcuts = MODELS.build(vitpose(ARCH, IMAGE_SIZE, JOINTS))
    config = "model = dict(backbone=dict(type='ShortcutViT', arch=dict(num_heads=4)))"
    for path, message in ((saved(tmp_path, model), 'it has the stem of RefinePose'),
                          (saved(tmp_path, shortcuts, 'b.pth', cfg=config),
                           'it has identity shortcuts')):
        assert main(['weights', str(path), *WORDS, '--write', 'huggingface', '--output',
                     str(tmp_path / 'hub')]) == 2
        assert message in capsys.readouterr().err


def test_heads_of_other_widths_are_written_for_mmpose_alone(tmp_path, capsys):
    model = shaken(MODELS.build(vitpose(ARCH, IMAGE_SIZE, JOINTS, deconv_channels=(24, 16))))
    words = ['weights', str(saved(tmp_path, model)), *WORDS, '--output']
    assert main([*words, str(tmp_path / 'out.pth'), '--write', 'model']) == 0
    written = open_checkpoint(tmp_path / 'out.pth').tensors
    assert torch.equal(written['head.final_layer.weight'], model.head.final_layer.weight)
    assert main([*words, str(tmp_path / 'hub'), '--write', 'huggingface']) == 2
    assert ('has deconvolutions of (256, 256) channels, this model (24, 16)'
            in capsys.readouterr().err)


def test_pose_estimators_keep_their_size(tmp_path):
    """256x192 is for encoders that know no persons; positions are not interpolated unasked."""
    model = MODELS.build(vitpose(ARCH, (128, 128), JOINTS))
    path, output = saved(tmp_path, model), tmp_path / 'out.pth'
    assert main(['weights', str(path), '--write', 'model', '--output', str(output)]) == 0
    assert torch.equal(open_checkpoint(output).tensors['backbone.pos_embed'],
                       model.backbone.pos_embed)


def test_an_encoder_alone_is_no_model(tmp_path, capsys):
    path = tmp_path / 'mae.pth'
    write_checkpoint(path, {**timm_names(pos_rows=197), 'cls_token': torch.ones(1, 1, 32)}, {})
    assert main(['weights', str(path), *WORDS, '--write', 'model', '--output',
                 str(tmp_path / 'out.pth')]) == 2
    assert 'is an encoder without the head' in capsys.readouterr().err


def test_folders_are_never_written_over_their_source(tmp_path, capsys):
    path, folder = saved(tmp_path, ours()), tmp_path / 'hub'
    words = [*WORDS, '--write', 'huggingface', '--output', str(folder)]
    assert main(['weights', str(path), *words]) == 0
    before = (folder / 'model.safetensors').read_bytes()
    assert main(['weights', str(folder), *words]) == 2
    assert 'is the input' in capsys.readouterr().err
    assert (folder / 'model.safetensors').read_bytes() == before
    assert main(['weights', str(path), *words[:-1], str(path)]) == 2
    assert 'expected a folder' in capsys.readouterr().err


def test_layer_scale_is_kept_if_asked_for(tmp_path, capsys):
    weights = {**timm_names(), **{f'blocks.{i}.ls{j}.gamma': torch.randn(32)
                                  for i in range(4) for j in (1, 2)}}
    path, output = tmp_path / 'dinov2.pth', tmp_path / 'encoder.pth'
    write_checkpoint(path, weights, {})
    words = ['weights', str(path), *WORDS, '--plain', '--output', str(output)]
    assert main([*words, '--layer-scale', 'keep']) == 0
    assert 'layer_scale=True' in capsys.readouterr().out
    kept, meta = open_checkpoint(output)
    assert torch.equal(kept['backbone.layers.3.ls2'], weights['blocks.3.ls2.gamma'])
    target = ShortcutViT(dict(ARCH, layer_scale=True), IMAGE_SIZE)
    load_encoder(target, kept, 'file', meta=meta)
    assert torch.equal(target.layers[0].ls1, weights['blocks.0.ls1.gamma'])
    assert main(words) == 0
    assert 'LayerScales folded' in capsys.readouterr().out
    assert not any('.ls' in name for name in open_checkpoint(output).tensors)


def test_gated_encoders_are_read_with_their_gates(tmp_path, capsys):
    model = MODELS.build(vitpose(ARCH, IMAGE_SIZE, JOINTS))
    backbone = ShortcutViT(ARCH, IMAGE_SIZE, stem=PLAIN['stem'], shortcut='gated')
    model.backbone = shaken(backbone)
    path, output = saved(tmp_path, model), tmp_path / 'encoder.pth'
    assert main(['weights', str(path), '--output', str(output)]) == 0
    assert 'it has shortcuts, which no other package has' in capsys.readouterr().out
    assert torch.equal(open_checkpoint(output).tensors['backbone.gates'], backbone.gates)


@torch.no_grad()
def test_encoders_that_were_written_are_known_again(tmp_path, capsys):
    """Epsilon, activation and LayerScale go along: no shape shows them."""
    arch = dict(ARCH, eps=1e-12, activation='quick_gelu')
    source = shaken(ShortcutViT(arch, IMAGE_SIZE, **PLAIN))
    path, output = tmp_path / 'x.pth', tmp_path / 'y.safetensors'
    write_checkpoint(path, {f'backbone.{k}': v for k, v in source.state_dict().items()},
                     dict(num_heads=4, eps='1e-12', activation='quick_gelu', shortcut='none'))
    assert main(['weights', str(path), *WORDS, '--plain', '--output', str(output)]) == 0
    assert "eps=1e-12, activation='quick_gelu'" in capsys.readouterr().out
    weights, meta = open_checkpoint(output)
    target = ShortcutViT(arch, IMAGE_SIZE, **PLAIN).eval()
    assert not load_encoder(target, weights, 'file', meta=meta).differences
    assert torch.equal(target(images()).feature_map, source(images()).feature_map)
