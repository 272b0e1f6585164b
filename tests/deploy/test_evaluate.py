"""An exported file scores what its checkpoint scores."""

import json
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
from refinepose_mm.deploy.quantize import calibration_images, quantize

CONFIG = str(ROOT / 'configs/refinepose_tiny_toy.py')
NO_WORKERS = ('test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False')


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    """Toy people, a config that finds them, a model with peaks and its checkpoint."""
    folder = tmp_path_factory.mktemp('toy')
    toy_people.generate(folder, num_train=8, num_val=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('TOY_ROOT', str(folder))
        config = Config.fromfile(CONFIG)
        config.test_dataloader.num_workers, config.test_dataloader.persistent_workers = 0, False
        torch.manual_seed(0)
        model = give_peaks(init_model(CONFIG, device='cpu'))
        checkpoint = folder / 'epoch_1.pth'
        torch.save(dict(state_dict=model.state_dict()), checkpoint)
        yield config, model, checkpoint


def scores(metrics):
    return {name: value for name, value in metrics.items() if name.startswith('coco/')}


@pytest.mark.parametrize('target', TARGETS.values(), ids=list(TARGETS))
def test_scores_are_those_of_mim_test(target, toy, tmp_path):
    for package in target.packages:
        pytest.importorskip(package, reason=f'{package} is not installed')
    config, model, checkpoint = toy
    path = tmp_path / f'model{target.suffix}'
    export(model, path)
    found = scores(evaluate(config, path, work_dir=str(tmp_path / 'exported'), trust=True))
    tested = mim('test', 'mmpose', CONFIG, '--gpus', '0', '--checkpoint', checkpoint,
                 '--work-dir', tmp_path / 'test', '--cfg-options', *NO_WORKERS)
    assert tested.returncode == 0, tested.stderr[-3000:]
    log, = (tmp_path / 'test').glob('*/*.json')
    expected = scores(json.loads(log.read_text()))
    assert expected and found == pytest.approx(expected, abs=1e-3)


def test_keypoints_cannot_be_averaged_with_their_mirror_image(toy, tmp_path):
    config, model, _ = toy
    export(model, tmp_path / 'model.pt2', decode=True)
    with pytest.raises(ValueError, match='model.pt2 outputs keypoints.*without --decode'):
        evaluate(config, tmp_path / 'model.pt2', work_dir=str(tmp_path), trust=True)


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
    ours, theirs = (load_exported(tmp_path / f'{name}.xml')(images[0])[0]
                    for name in ('model', 'model_int8'))
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
