"""Exported files give what the model gives, run in engines of their own."""

import argparse
import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.apis import init_model
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from peaks import give_peaks

from refinepose_mm import cli
from refinepose_mm.deploy import export as export_module
from refinepose_mm.deploy.export import export
from refinepose_mm.deploy.formats import TARGETS, load_exported
from refinepose_mm.deploy.network import InferenceNetwork
from refinepose_mm.recipes import vitpose

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
SIZE = (64, 48)
# What TensorRT's ONNX parser has no rule for, or rejects (MaxPool with Indices).
UNSUPPORTED = {'MaxUnpool', 'ScatterND', 'ScatterElements', 'NonZero'}


@pytest.fixture(scope='module')
def model():
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(
            type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
        backbone=dict(type='ShortcutViT', arch=ARCH, img_size=SIZE),
        head=dict(type='FusionHead', in_channels=32, out_channels=4, decoder=dict(
            type='BatchedUDPHeatmap', input_size=SIZE[::-1], heatmap_size=(12, 16), sigma=1.))))
    model.init_weights()
    return give_peaks(model)


def test_the_neck_of_vitpose_simple_is_exported_too(tmp_path):
    init_default_scope('mmpose')
    model = MODELS.build(vitpose('tiny', SIZE, head='simple')).eval()
    export(model, tmp_path / 'model.pt2')
    images = np.zeros((1, 3, *SIZE), np.float32)
    heatmaps, = load_exported(tmp_path / 'model.pt2', trust=True)(images)
    with torch.no_grad():
        inputs = model.data_preprocessor(dict(
            inputs=[torch.zeros(3, *SIZE, dtype=torch.uint8)], data_samples=[PoseDataSample()]))
        expected = model(inputs['inputs'], None, mode='tensor').numpy()
    assert heatmaps.shape == (1, 17, SIZE[0] // 4, SIZE[1] // 4)
    np.testing.assert_allclose(heatmaps, expected, atol=1e-5)


@pytest.mark.parametrize('name', TARGETS)
def test_an_encoder_with_parts_of_all_families_is_exported(name, tmp_path):
    """DINOv3's rotary attention and LayerScale, CLIP's LayerNorm and quick-GELU."""
    init_default_scope('mmpose')
    torch.manual_seed(0)
    arch = dict(ARCH, eps=1e-5, activation='quick_gelu', layer_scale=True, pre_norm=True, rope=100.)
    model = MODELS.build(vitpose(arch, SIZE)).eval()
    for part, value in model.named_parameters():
        if value.ndim > 1 or '.ls' in part:
            torch.nn.init.normal_(value, std=.1)
    target = TARGETS[name]
    for package in target.packages:
        pytest.importorskip(package, reason=f'{package} is not installed')
    path = tmp_path / f'model{target.suffix}'
    export(model, path, decode=False)
    images = np.random.default_rng(0).uniform(0, 255, (2, 3, *SIZE)).astype(np.float32)
    heatmaps = load_exported(path, trust=True)(images)[0]
    with torch.no_grad():
        expected = InferenceNetwork(model)(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(heatmaps, expected, atol=1e-4 * abs(expected).max())


def written(name, model, tmp_path, decode):
    target = TARGETS[name]
    for package in target.packages:
        pytest.importorskip(package, reason=f'{package} is not installed')
    path = tmp_path / f'model{target.suffix}'
    return path, export(model, path, decode)


@pytest.mark.parametrize('name', TARGETS)
@pytest.mark.parametrize('decode', [False, True])
def test_a_file_runs_with_any_batch_size_and_equals_the_model(name, model, tmp_path, decode):
    path, certificate = written(name, model, tmp_path, decode)
    assert certificate['source'] == '16 toy people' and certificate['crops'] == 16
    assert certificate['precisions']['f32']['largest'] < 1e-2
    run = load_exported(path, trust=True)
    assert run.metadata['certificate'] == certificate
    for batch in (1, 5):
        images = np.random.default_rng(batch).uniform(0, 255, (batch, 3, *SIZE)).astype(np.float32)
        packed = [torch.from_numpy(image).byte() for image in images.round()]
        with torch.no_grad():  # the model's own preprocessing, in place of the graph's
            inputs = model.data_preprocessor(dict(
                inputs=packed, data_samples=[PoseDataSample() for _ in packed]))['inputs']
            heatmaps = model(inputs, None, mode='tensor')
        found = run(images.round().astype(np.uint8).astype(np.float32))
        if decode:
            keypoints, scores = model.head.decoder.batch_decode(heatmaps)
            np.testing.assert_allclose(found[0], np.concatenate(keypoints), atol=1e-2)
            np.testing.assert_allclose(found[1], np.concatenate(scores), atol=1e-4)
        else:
            np.testing.assert_allclose(found[0], heatmaps.numpy(), atol=1e-4)


@pytest.mark.parametrize('decode', [False, True])
def test_onnx_has_no_operator_that_tensorrt_lacks(model, tmp_path, decode):
    path, _ = written('onnx', model, tmp_path, decode)
    import onnx
    graph = onnx.load(path)
    assert {opset.version for opset in graph.opset_import if not opset.domain} == {18}
    assert all(node.domain in ('', 'ai.onnx') for node in graph.graph.node)
    assert not graph.functions
    operators = {node.op_type for node in graph.graph.node}
    assert not operators & UNSUPPORTED
    assert all(len(node.output) == 1 for node in graph.graph.node if node.op_type == 'MaxPool')


def test_wrong_endings_and_missing_files_and_packages_are_named(model, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r'must end in one of \.onnx, \.xml, \.pt2'):
        export(model, tmp_path / 'model.tflite')
    with pytest.raises(ValueError, match='must end in one of'):
        load_exported(tmp_path / 'model.tflite')
    with pytest.raises(FileNotFoundError, match='model.onnx not found'):
        load_exported(tmp_path / 'model.onnx')
    with pytest.raises(FileNotFoundError, match='folder .*nowhere'):
        export(model, tmp_path / 'nowhere/model.pt2')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(ImportError, match=r'pip install "refinepose_mm\[export\]"'):
        export(model, tmp_path / 'model.onnx')


def test_a_model_with_broken_weights_is_not_exported(model, tmp_path):
    broken = copy.deepcopy(model)
    with torch.no_grad():
        broken.head.final_layer.bias[0] = float('nan')
    with pytest.raises(ValueError, match='model.pt2 was not written: its heatmaps are not finite'):
        export(broken, tmp_path / 'model.pt2')
    assert not list(tmp_path.iterdir())


def test_decoding_in_the_graph_needs_our_codec(model):
    other = MODELS.build(dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[0.] * 3, std=[1.] * 3),
        backbone=dict(type='ShortcutViT', arch=ARCH, img_size=SIZE),
        head=dict(type='FusionHead', in_channels=32, out_channels=4, decoder=dict(
            type='MSRAHeatmap', input_size=SIZE[::-1], heatmap_size=(12, 16), sigma=1.))))
    with pytest.raises(ValueError, match='needs the codec BatchedUDPHeatmap, got MSRAHeatmap'):
        InferenceNetwork(other, decode=True)


def test_wrong_input_size_is_refused(model, tmp_path):
    path, _ = written('torch-export', model, tmp_path, decode=False)
    message = r'model.pt2 refuses images of shape \(1, 3, 32, 48\): .*64'
    with pytest.raises(ValueError, match=message):
        load_exported(path, trust=True)(np.zeros((1, 3, 32, 48), np.float32))


def test_a_file_that_can_execute_code_must_be_trusted(tmp_path):
    (tmp_path / 'model.pt2').write_bytes(b'anything')
    with pytest.raises(ValueError, match=r'model.pt2 can execute code .* use --trust'):
        load_exported(tmp_path / 'model.pt2')
    with pytest.raises(ValueError, match='is not a complete exported model'):
        load_exported(tmp_path / 'model.pt2', trust=True)


@pytest.mark.parametrize('suffix', [target.suffix for target in TARGETS.values()])
def test_broken_files_end_in_one_message(tmp_path, suffix):
    for package in next(t for t in TARGETS.values() if t.suffix == suffix).packages:
        pytest.importorskip(package, reason=f'{package} is not installed')
    path = tmp_path / f'model{suffix}'
    for content in (b'', b'PK', b'<net></net>', bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf'model\{suffix} is not a complete exported model'):
            load_exported(path, trust=True)


def test_a_missing_second_file_of_openvino_is_the_reason(model, tmp_path):
    path, _ = written('openvino', model, tmp_path, decode=False)
    path.with_suffix('.bin').unlink()
    with pytest.raises(ValueError, match='exported model: Empty weights data in bin file or bin'):
        load_exported(path)


def test_the_command_exports(tmp_path, root, capsys, monkeypatch):
    monkeypatch.setenv('TOY_ROOT', str(tmp_path / 'none'))
    config = str(root / 'configs/refinepose_tiny_toy.py')
    model = init_model(config, device='cpu')
    checkpoint = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    arguments = dict(config=config, checkpoint=str(checkpoint), format='torch-export', decode=True,
                     output=None, photos=None, interface=None, precision='f32', batch=None,
                     opset=None, onnxruntime_web=None)
    assert export_module.run(argparse.Namespace(**arguments)) == 0
    out = capsys.readouterr().out
    assert f'wrote {tmp_path}/epoch_1.pt2: input images (batch, 3, 128, 96)' in out
    assert 'compared with eager PyTorch on 16 toy people, not the test data (' in out
    assert f'torch {torch.__version__}, f32: keypoints ' in out
    for wrong, message in ((dict(checkpoint='none.pth'), 'none.pth not found'),
                           (dict(photos='nowhere'), 'nowhere not found'),
                           (dict(interface='rtmlib'), r"\.pt2 files is ours, .* got 'rtmlib'"),
                           (dict(output='model.onnx'), r'must end in \.pt2')):
        with pytest.raises((OSError, ValueError), match=message):
            export_module.run(argparse.Namespace(**{**arguments, **wrong}))


def test_a_mistake_on_the_command_line_ends_in_one_line():
    result = subprocess.run([str(Path(sys.executable).parent / 'refinepose'), 'export', 'no.py',
                             'no.pth'], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.strip().splitlines() == ['refinepose export: no.py not found']


def test_the_second_file_of_openvino_is_no_input_either(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(export_module, 'require', lambda packages: None)
    checkpoint = tmp_path / 'weights.bin'
    checkpoint.write_bytes(b'a checkpoint')
    assert cli.main(['export', 'demo', str(checkpoint), '--format', 'openvino']) == 2
    assert f'output {checkpoint} is the input {checkpoint}' in capsys.readouterr().err
    assert checkpoint.read_bytes() == b'a checkpoint'


@pytest.mark.parametrize('name', TARGETS)
def test_a_full_disk_costs_no_file(name, model, tmp_path):
    resource = pytest.importorskip('resource', reason='only POSIX limits the size of files')
    for package in TARGETS[name].packages:
        pytest.importorskip(package, reason=f'{package} is not installed')
    path = tmp_path / f'model{TARGETS[name].suffix}'
    path.write_bytes(b'earlier')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match=f'not written: .*{path.name}'):
            export(model, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b'earlier'
    assert list(tmp_path.iterdir()) == [path]
