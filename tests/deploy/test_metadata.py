"""What an exported file says of itself is true, in every format."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmpose.apis import init_model
from peaks import give_peaks

from refinepose_mm.deploy.export import export
from refinepose_mm.deploy.formats import TARGETS, Engine, Exported, NotFinite, load_exported
from refinepose_mm.deploy.metadata import KEY, describe, from_text, require_fit
from refinepose_mm.deploy.outputs import require_outputs
from refinepose_mm.version import __version__

CONFIG = str(ROOT / 'configs/refinepose_tiny_toy.py')


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return give_peaks(init_model(CONFIG, device='cpu'))


def test_everything_that_a_server_needs_is_there(model):
    described = describe(model, decode=True)
    names = described['keypoints'].pop('names')
    assert names[:3] == ['nose', 'left_eye', 'right_eye'] and len(names) == 17
    skeleton = described['keypoints'].pop('skeleton')
    assert [15, 13] in skeleton and len(skeleton) == 19
    assert described == dict(
        format=1, package=f'refinepose_mm {__version__}',
        input=dict(size=[96, 128], channels='BGR', range=[0, 255]),
        normalization=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
                           channels='RGB', inside=True),
        crop=dict(padding=1.25, udp=True),
        codec=dict(type='BatchedUDPHeatmap', heatmap_size=[24, 32], sigma=1.5, blur_kernel_size=11,
                   pixels_per_step=[96 / 23, 128 / 31]),
        decode=True,
        keypoints=dict(count=17, flip_pairs=[[left, left + 1] for left in range(1, 17, 2)]))


def test_padding_formula_and_joints_are_those_of_the_config():
    config = Config.fromfile(ROOT / 'configs/refinepose_vitb_mpii.py')
    config.model.backbone.arch = 'tiny'
    config.model.head.update(in_channels=96, decoder=dict(
        type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=2))
    config.model.backbone.img_size = (64, 64)
    pipeline = config.test_dataloader.dataset.pipeline
    pipeline[1].padding, pipeline[2].use_udp = 1.5, False
    described = describe(init_model(config, device='cpu'))
    assert described['crop'] == dict(padding=1.5, udp=False)
    assert described['codec']['pixels_per_step'] == [4, 4]  # 64 / 16
    assert described['keypoints']['names'][0] == 'right_ankle'
    assert described['keypoints']['flip_pairs'][0] == [0, 5]


@pytest.mark.parametrize('name', TARGETS)
@pytest.mark.parametrize('decode', [False, True])
def test_every_format_carries_them(name, decode, model, tmp_path):
    for package in TARGETS[name].packages:
        pytest.importorskip(package, reason=f'{package} is not installed')
    path = tmp_path / f'model{TARGETS[name].suffix}'
    export(model, path, decode)
    file = load_exported(path, trust=True)
    assert file.gives_heatmaps is not decode
    found = dict(file.metadata)
    found.pop('certificate', None)
    assert found == describe(model, decode)


def test_any_program_reads_them_in_onnx(model, tmp_path):
    onnx = pytest.importorskip('onnx', reason='onnx is not installed')
    export(model, tmp_path / 'model.onnx')
    stored = {entry.key: entry.value for entry in onnx.load(tmp_path / 'model.onnx').metadata_props}
    assert json.loads(stored[KEY])['input']['size'] == [96, 128]


def test_running_needs_no_package_for_writing(model, tmp_path, monkeypatch):
    for package in TARGETS['onnx'].packages:
        pytest.importorskip(package, reason=f'{package} is not installed')
    export(model, tmp_path / 'model.onnx')
    for package in ('onnx', 'onnxscript'):
        monkeypatch.setitem(sys.modules, package, None)
    assert load_exported(tmp_path / 'model.onnx').metadata['decode'] is False
    with pytest.raises(ImportError, match='onnx is needed'):
        export(model, tmp_path / 'other.onnx')


def test_a_model_without_a_config_has_no_crop_and_no_names(model):
    del model.cfg
    described = describe(model)
    assert 'crop' not in described and described['keypoints'] == dict(count=17)


def test_damaged_and_later_metadata_are_named(model):
    whole = describe(model)
    fields = [dict(whole, **change) for change in (
        dict(input=dict(size=[96])), dict(input=None), dict(codec='UDP'), dict(keypoints={}),
        dict(normalization=dict(inside=False, mean=[1, 2, 3])),
        dict(input=dict(whole['input'], batch=0)))]
    for text in ('', '[]', '{}', 'null', '{"format": 1}', '[' * 100_000, *map(json.dumps, fields)):
        with pytest.raises(ValueError, match='metadata of model.onnx are damaged'):
            from_text(text, Path('model.onnx'))
    with pytest.raises(ValueError, match='written by refinepose_mm 9: its metadata have format 2'):
        from_text('{"format": 2, "package": "refinepose_mm 9"}', Path('model.onnx'))


def plain_file(heatmaps, path='other.onnx'):
    """A file without metadata, as other programs write them."""
    return Exported(Path(path), Engine(lambda images: heatmaps, len(heatmaps), None))


def test_what_other_programs_wrote_is_not_taken_for_a_model():
    config = Config.fromfile(CONFIG)
    require_outputs(plain_file([np.zeros((1, 17, 32, 24))]), config)
    require_outputs(plain_file([np.zeros((1, 17, 2)), np.zeros((1, 17))]), config)
    with pytest.raises(ValueError, match='other.onnx is not of this config: it gives 1x3x128x96 '
                                         'for one image, expected 1x17x32x24'):
        require_outputs(plain_file([np.zeros((1, 3, 128, 96))]), config)
    with pytest.raises(ValueError, match='expected 1x17x2 and 1x17'):
        require_outputs(plain_file([np.zeros((1, 17))] * 2), config)
    config.model.head.decoder = dict(type='SimCCLabel', input_size=(96, 128))
    with pytest.raises(ValueError, match='must be a codec of heatmaps, got SimCCLabel'):
        require_outputs(plain_file([np.zeros((1, 17, 32, 24))]), config)


def test_outputs_that_are_not_finite_are_refused():
    with pytest.raises(NotFinite, match='other.onnx gives NaN or infinite numbers'):
        plain_file([np.full((1, 17, 32, 24), np.nan)])(np.zeros((1, 3, 128, 96)))


def test_another_number_of_keypoints_does_not_fit(model):
    config = Config.fromfile(CONFIG)
    metadata = describe(model)
    require_fit(metadata, config, 'model.onnx')
    require_fit(None, config, 'model.onnx')  # of 0.1.0
    config.model.head.out_channels = 16
    with pytest.raises(ValueError, match='its number of keypoints is 17, the config has 16'):
        require_fit(metadata, config, 'model.onnx')
