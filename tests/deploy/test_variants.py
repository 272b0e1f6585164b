"""Exported files in half precision, of a fixed batch, of another opset, and on named devices."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from peaks import give_peaks

from refinepose_mm import cli
from refinepose_mm.deploy import export as export_module
from refinepose_mm.deploy import formats
from refinepose_mm.deploy.detectors import exported
from refinepose_mm.deploy.devices import (
    DeviceError,
    moved,
    onnx_options,
    onnx_session,
    openvino_device,
)
from refinepose_mm.deploy.export import export
from refinepose_mm.deploy.formats import TARGETS, load_exported
from refinepose_mm.deploy.portable import portable

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
SIZE = (64, 48)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, *SIZE)).astype(np.float32)


def build(**head):
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(
            type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
        backbone=dict(type='ShortcutViT', arch=ARCH, img_size=SIZE),
        head=dict(type='FusionHead', in_channels=32, out_channels=4, decoder=dict(
            type='BatchedUDPHeatmap', input_size=SIZE[::-1], heatmap_size=(12, 16), sigma=1.),
            **head)))
    model.init_weights()
    return give_peaks(model)


@pytest.fixture(scope='module')
def model():
    return build()


@pytest.fixture(scope='module')
def expected(model, tmp_path_factory):
    """Heatmaps (5, 4, 16, 12) of a file of the usual kind, and its size."""
    path = tmp_path_factory.mktemp('usual') / 'model.pt2'
    export(model, path)
    return load_exported(path, trust=True)(IMAGES)[0]


def needs(name):
    for package in TARGETS[name].packages:
        pytest.importorskip(package, reason=f'{package} is not installed')
    return TARGETS[name].suffix


@pytest.mark.parametrize('name', TARGETS)
def test_half_precision_is_near_and_has_its_tensors_in_float32(name, model, expected, tmp_path):
    path = tmp_path / f'model{needs(name)}'
    certificate = export(model, path, precision='f16')
    assert 0 < certificate['precisions']['f32']['score'] < .05
    file = load_exported(path, trust=True)
    assert file.metadata['precision'] == 'f16'
    heatmaps, = file(IMAGES)
    assert heatmaps.dtype == np.float32
    assert 1e-5 < np.abs(heatmaps - expected).max() < .1 * expected.max()


def test_half_of_the_space(model, tmp_path):
    onnx = pytest.importorskip('onnx', reason='onnx is not installed')
    needs('onnx')
    export(model, tmp_path / 'half.onnx', precision='f16')
    graph = onnx.load(tmp_path / 'half.onnx').graph
    large = [tensor for tensor in graph.initializer if np.prod(tensor.dims) >= 64]
    assert large and {tensor.data_type for tensor in large} == {onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize('name', TARGETS)
def test_a_fixed_batch_takes_any_number_of_images_through_our_engine(
        name, model, expected, tmp_path):
    path = tmp_path / f'model{needs(name)}'
    export(model, path, batch=3)
    file = load_exported(path, trust=True)
    assert file.metadata['input']['batch'] == 3
    for count in (1, 3, 5):
        heatmaps, = file(IMAGES[:count])
        np.testing.assert_allclose(heatmaps, expected[:count], atol=1e-4)
    with pytest.raises(Exception, match='.'):  # the engine itself takes three
        file._run(IMAGES[:2])


def test_opsets(model, tmp_path, monkeypatch):
    onnx = pytest.importorskip('onnx', reason='onnx is not installed')
    path = tmp_path / f'model{needs("onnx")}'
    export(model, path, opset=20)
    assert [entry.version for entry in onnx.load(path).opset_import] == [20]
    with pytest.raises(ValueError, match='opset must be from 17 to 25, got 16'):
        export(model, path, opset=16)
    with pytest.raises(ValueError, match=r'opset is for ONNX files \(.onnx\), got model.pt2'):
        export(model, tmp_path / 'model.pt2', opset=18)
    monkeypatch.setattr(export_module, 'OPSETS', range(9, 26))
    with pytest.raises(ValueError, match='opset 16 cannot be written for this model; opset 18'):
        export(model, path, opset=16)


def test_mistakes_are_named_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words, message in ((['--batch', '0'], 'batch must be at least 1, got 0'),
                           (['--opset', '18'], 'opset is for ONNX files')):
        assert cli.main(['export', 'demo', '--format', 'torch-export', *words]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(ValueError, match="precision must be one of f32, f16, got 'f8'"):
        export(torch.nn.Identity(), tmp_path / 'model.pt2', precision='f8')


@pytest.fixture
def runtime(monkeypatch):
    """An ONNX Runtime that has CUDA, whose libraries are missing unless `loads` says so."""

    class Session:
        def __init__(self, path, options, providers):
            runtime.asked = providers
            names = [one if isinstance(one, str) else one[0] for one in providers]
            self.names = [one for one in names if runtime.loads] + ['CPUExecutionProvider']

        def get_providers(self):
            return self.names

    runtime = types.ModuleType('onnxruntime')
    runtime.loads, runtime.InferenceSession = True, Session
    runtime.get_available_providers = lambda: ['CUDAExecutionProvider', 'CPUExecutionProvider']
    monkeypatch.setitem(sys.modules, 'onnxruntime', runtime)
    return runtime


def test_onnx_runtime_never_falls_back_in_silence(runtime):
    for device, asked in (('cpu', 'CPUExecutionProvider'), ('cuda', 'CUDAExecutionProvider'),
                          ('CUDAExecutionProvider', 'CUDAExecutionProvider'),
                          ('cuda:1', ('CUDAExecutionProvider', dict(device_id='1')))):
        onnx_session('model.onnx', device, None)
        assert runtime.asked == [asked]
    for device in ('tpu', 'TensorrtExecutionProvider', 'cuda:x'):
        with pytest.raises(DeviceError, match=f"device '{device}' cannot be used: onnxruntime has "
                           'CUDAExecutionProvider, CPUExecutionProvider here'):
            onnx_session('model.onnx', device, None)
    runtime.loads = False
    with pytest.raises(DeviceError, match='did not load, and onnxruntime fell back to CPU'):
        onnx_session('model.onnx', 'cuda', None)


def test_threads_of_onnx_runtime_stop_spinning_after_each_call():
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    options = onnx_options()
    assert options.intra_op_num_threads == torch.get_num_threads()
    assert options.get_session_config_entry('session.force_spinning_stop') == '1'


@pytest.mark.parametrize('module, opens', [
    (formats, lambda: formats._load_onnx(Path('model.onnx'), 'f32', 'cpu')),
    (exported, lambda: exported._open_onnx(Path('model.onnx')))])
def test_models_and_detectors_are_opened_with_these_options(module, opens, monkeypatch):
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')

    def refuse(path, device, options):
        raise DeviceError(options.get_session_config_entry('session.force_spinning_stop'))

    monkeypatch.setattr(module, 'onnx_session', refuse)
    with pytest.raises(DeviceError, match='^1$'):
        opens()


def test_openvino_and_torch_have_names_of_their_own():
    core = types.SimpleNamespace(available_devices=['CPU', 'GPU.0', 'GPU.1'])
    assert [openvino_device(core, name) for name in ('cpu', 'CPU', 'GPU', 'GPU.1')] == [
        'CPU', 'CPU', 'GPU', 'GPU.1']
    for name in ('cuda', 'GPU.2', 'NPU'):
        with pytest.raises(DeviceError, match=f"device '{name}' cannot be used: OpenVINO has CPU"):
            openvino_device(core, name)
    with pytest.raises(DeviceError, match="device 'typo' cannot be used here"):
        moved(None, 'typo')


@pytest.mark.parametrize('name', TARGETS)
def test_a_file_says_that_its_device_is_missing(name, model, tmp_path):
    path = tmp_path / f'model{needs(name)}'
    export(model, path)
    with pytest.raises(ValueError, match="^device 'nonsense:9' cannot be used"):
        load_exported(path, trust=True, device='nonsense:9')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU with CUDA')
@pytest.mark.parametrize('name', ['onnx', 'torch-export'])
def test_files_run_on_cuda(name, model, expected, tmp_path):
    path = tmp_path / f'model{needs(name)}'
    export(model, path)
    heatmaps, = load_exported(path, trust=True, device='cuda')(IMAGES)
    np.testing.assert_allclose(heatmaps, expected, atol=1e-2)


@pytest.mark.parametrize('head', [{}, dict(channel_match='taper')])
def test_portable_files_are_equal_and_have_what_phones_know(head, tmp_path):
    path = tmp_path / 'model.pt2'
    export(build(**head), path, batch=1)
    program = torch.export.load(path)
    images = torch.from_numpy(IMAGES[:1])
    before = program.module()(images)
    after = portable(program)
    torch.testing.assert_close(after.module()(images), before, rtol=0, atol=1e-5)
    values = [node.meta['val'] for node in after.graph.nodes
              if isinstance(node.meta.get('val'), torch.Tensor)]
    assert max(value.ndim for value in values) <= 5
    assert torch.uint8 not in {value.dtype for value in values}
    for tensor in after.state_dict.values():
        assert tensor.stride() == torch.empty(tensor.shape).stride()
    export(build(**head), path)
    with pytest.raises(ValueError, match='phones take a fixed number of images'):
        portable(torch.export.load(Path(path)))
