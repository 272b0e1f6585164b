"""An exported file scores what its checkpoint scores."""

import copy
import json
import re
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT, mim
from mmengine.config import Config
from mmpose.apis import init_model
from peaks import give_peaks

from refinepose_mm import cli
from refinepose_mm.datasets import toy_people
from refinepose_mm.deploy.evaluate import evaluate
from refinepose_mm.deploy.export import export
from refinepose_mm.deploy.formats import TARGETS, load_exported
from refinepose_mm.deploy.predictor import BatchPredictor
from refinepose_mm.deploy.quantize import calibration_images, quantize

CONFIG = str(ROOT / 'configs/refinepose_tiny_toy.py')
# An untrained model's AP is 0 whatever it finds; its mean distance (EPE) in pixels is not.
DISTANCE = f"""_base_ = {CONFIG!r}
val_dataloader = test_dataloader = dict(num_workers=0, persistent_workers=False)
test_evaluator = dict(_delete_=True, type='EPE')
"""


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    """Toy people, a config that finds them, a model with peaks and its checkpoint."""
    folder = tmp_path_factory.mktemp('toy')
    toy_people.generate(folder, num_train=8, num_val=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('TOY_ROOT', str(folder))
        (folder / 'config.py').write_text(DISTANCE)
        config = Config.fromfile(folder / 'config.py')
        torch.manual_seed(0)
        model = give_peaks(init_model(CONFIG, device='cpu'))
        checkpoint = folder / 'epoch_1.pth'
        torch.save(dict(state_dict=model.state_dict()), checkpoint)
        yield config, model, checkpoint


@pytest.mark.parametrize('target', TARGETS.values(), ids=list(TARGETS))
def test_scores_are_those_of_mim_test(target, toy, tmp_path):
    for package in target.packages:
        pytest.importorskip(package, reason=f'{package} is not installed')
    config, model, checkpoint = toy
    path = tmp_path / f'model{target.suffix}'
    export(model, path)
    found = evaluate(config, path, work_dir=str(tmp_path / 'exported'), trust=True)
    tested = mim('test', 'mmpose', config.filename, '--gpus', '0', '--checkpoint', checkpoint,
                 '--work-dir', tmp_path / 'test')
    assert tested.returncode == 0, tested.stderr[-3000:]
    log, = (tmp_path / 'test').glob('*/*.json')
    assert found['EPE'] == pytest.approx(json.loads(log.read_text())['EPE'], abs=1e-3)


def test_a_file_with_decode_scores_what_its_checkpoint_scores_without_flip_test(
        toy, tmp_path, capsys):
    config, model, checkpoint = toy
    export(model, tmp_path / 'model.pt2', decode=True)
    config = copy.deepcopy(config)
    found = evaluate(config, tmp_path / 'model.pt2', work_dir=str(tmp_path), trust=True)
    lines = [line for line in capsys.readouterr().out.splitlines() if 'flip test' in line]
    assert lines == [f'{tmp_path}/model.pt2 outputs keypoints, so there is no flip test: it needs '
                     'heatmaps']
    with_flip = evaluate(config, checkpoint, work_dir=str(tmp_path))
    config.model.test_cfg.flip_test = False
    expected = evaluate(config, checkpoint, work_dir=str(tmp_path))
    assert found['EPE'] == pytest.approx(expected['EPE'], abs=1e-3)
    assert abs(expected['EPE'] - with_flip['EPE']) > .01
    capsys.readouterr()
    evaluate(config, tmp_path / 'model.pt2', work_dir=str(tmp_path), trust=True)
    assert 'flip test' not in capsys.readouterr().out  # nothing is turned off


def test_a_file_of_another_model_is_refused_in_one_line(toy, tmp_path, capsys):
    config, model, _ = toy
    path = tmp_path / 'model.pt2'
    export(model, path)
    for changes, message in (
            (dict(input_size=(192, 256), heatmap_size=(48, 64)),
             'its input size is [96, 128], the config has [192, 256]'),
            (dict(sigma=2.), 'its codec sigma is 1.5, the config has 2.0'),
            (dict(type='MSRAHeatmap'), 'its codec pixels_per_step is [4.17')):
        other = copy.deepcopy(config)
        other.model.head.decoder.update(changes)
        with pytest.raises(ValueError, match=re.escape(message)):
            evaluate(other, path, work_dir=str(tmp_path), trust=True)
        other.dump(tmp_path / 'other.py')
        with pytest.raises(ValueError, match=re.escape(f'{path} is not of')):
            BatchPredictor(tmp_path / 'other.py', path, trust=True)
    assert BatchPredictor(CONFIG, path, trust=True).gives_heatmaps


def test_eight_bits_keep_the_maxima(toy, tmp_path):
    pytest.importorskip('openvino', reason='openvino is not installed')
    pytest.importorskip('nncf', reason='nncf is not installed')
    config, model, _ = toy
    export(model, tmp_path / 'model.xml')
    images = calibration_images(config, 8)
    assert len(images) == 8 and images[0].shape == (1, 3, 128, 96)
    quantize(tmp_path / 'model.xml', tmp_path / 'model_int8.xml', images)
    sizes = [(tmp_path / f'{name}.bin').stat().st_size for name in ('model', 'model_int8')]
    assert sizes[1] < .6 * sizes[0]
    files = [load_exported(tmp_path / f'{name}.xml') for name in ('model', 'model_int8')]
    assert files[1].metadata == {name: value for name, value in files[0].metadata.items()
                                 if name != 'certificate'}
    ours, theirs = (file(images[0])[0] for file in files)
    assert 0 < np.abs(ours - theirs).max() < .2 * ours.max()


def test_mistakes_end_in_one_line(toy, tmp_path, capsys, monkeypatch):
    config, model, _ = toy
    for words, message in (
            (['test', CONFIG, 'none.onnx'], 'none.onnx not found'),
            (['quantize', CONFIG, 'none.xml'], 'none.xml not found'),
            (['quantize', CONFIG, CONFIG, '--persons', '0'], '--persons must be at least 1, got 0'),
    ):
        assert cli.main(words) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(ValueError, match=r'OpenVINO files \(.xml\) are quantised, got a.onnx'):
        quantize('a.onnx', 'b.xml', [np.zeros(1)])
    monkeypatch.setitem(sys.modules, 'nncf', None)
    with pytest.raises(ImportError, match=r'pip install "refinepose_mm\[export\]"'):
        quantize('a.xml', 'b.xml', [np.zeros(1)])
