"""Every command, from its words to what it prints and writes."""

import json
import os
import subprocess
import sys

import pytest
import torch
from conftest import ROOT
from mmpose.apis import init_model
from peaks import give_peaks
from safetensors.torch import load_file

from refinepose_mm import cli
from refinepose_mm.checkpoints import read_checkpoint

CONFIG = str(ROOT / 'configs/refinepose_tiny_toy.py')


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp('commands') / 'toy'
    assert cli.main(['toy', '--output', str(folder), '--train', '3', '--val', '2']) == 0
    return folder


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('trained') / 'epoch_1.pth'
    torch.save(dict(state_dict=give_peaks(init_model(CONFIG, device='cpu')).state_dict()), path)
    return path


@pytest.fixture
def without_workers(toy, tmp_path, monkeypatch):
    """The toy config on these few people, in one process."""
    monkeypatch.setenv('TOY_ROOT', str(toy))
    path = tmp_path / 'config.py'
    loader = dict(num_workers=0, persistent_workers=False)
    path.write_text(f'_base_ = {CONFIG!r}\n'
                    f'val_dataloader = {loader}\ntest_dataloader = {loader}\n')
    return str(path)


def test_toy(toy, capsys):
    annotations = json.loads((toy / 'annotations/person_keypoints_train.json').read_text())
    assert len(annotations['images']) == 3
    assert cli.main(['toy', str(toy), '--train', '3', '--val', '2']) == 0  # as 0.1.0 said it
    captured = capsys.readouterr()
    assert 'are there already' in captured.out
    assert captured.err.strip() == 'refinepose toy FOLDER is deprecated; use --output FOLDER'


def test_complexity(capsys):
    assert cli.main(['complexity', '--arch', 'tiny', '--img-size', '128', '96']) == 0
    row = capsys.readouterr().out.strip().splitlines()[-1]
    assert row == '| tiny | 1.0 | 0.1 | 2.5 | 0.3 |'


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_weights(checkpoint, tmp_path, capsys, suffix):
    output = tmp_path / f'encoder{suffix}'
    assert cli.main(['weights', str(checkpoint), '--arch', 'tiny', '--img-size', '128', '96',
                     '--output', str(output)]) == 0
    assert 'recognised as RefinePose' in capsys.readouterr().out
    before = read_checkpoint(str(checkpoint))
    after = load_file(output) if suffix == '.safetensors' else read_checkpoint(str(output))
    assert set(after) == {name for name in before if name.startswith('backbone.')}
    assert all(torch.equal(before[name], value) for name, value in after.items())


def test_test_scores_a_checkpoint_and_its_exported_file_alike(
        checkpoint, without_workers, tmp_path, capsys):
    file = tmp_path / 'model.pt2'
    assert cli.main(['export', CONFIG, str(checkpoint), '--format', 'torch-export', '--output',
                     str(file)]) == 0
    assert f'wrote {file}: input images (batch, 3, 128, 96)' in capsys.readouterr().out
    scores = []
    for words in ([str(checkpoint)], [str(file), '--trust']):
        assert cli.main(['test', without_workers, *words, '--work-dir', str(tmp_path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        scores.append({name: float(value) for name, value in (
            line.split(': ') for line in lines if line.startswith('coco/'))})
    assert scores[0] and scores[1] == pytest.approx(scores[0], abs=1e-3)


def test_another_models_checkpoint_is_not_tested(without_workers, tmp_path, capsys):
    other = tmp_path / 'other.pth'
    torch.save(dict(state_dict=dict(weight=torch.zeros(3))), other)
    assert cli.main(['test', without_workers, str(other), '--work-dir', str(tmp_path)]) == 2
    assert 'other.pth is not of this config' in capsys.readouterr().err


def test_quantize(checkpoint, without_workers, tmp_path, capsys):
    for package in ('openvino', 'nncf'):
        pytest.importorskip(package, reason=f'{package} is not installed')
    file = tmp_path / 'model.xml'
    assert cli.main(['export', CONFIG, str(checkpoint), '--format', 'openvino', '--output',
                     str(file)]) == 0
    assert cli.main(['quantize', without_workers, str(file), '--persons', '4']) == 0
    assert f'wrote {tmp_path}/model_int8.xml' in capsys.readouterr().out
    assert cli.main(['test', without_workers, str(tmp_path / 'model_int8.xml'), '--work-dir',
                     str(tmp_path)]) == 0
    assert cli.main(['quantize', without_workers, str(file), '--output', str(file)]) == 2
    assert 'is the input' in capsys.readouterr().err


@pytest.mark.slow
def test_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert cli.main(['demo', '--data', str(tmp_path / 'toy'), '--work-dir', str(tmp_path / 'run'),
                     '--train', '24', '--val', '4']) == 0
    out = capsys.readouterr().out
    assert 'coco/AP on 4 toy validation images' in out
    for name in ('training_curve.png', 'overlays.jpg'):
        assert (tmp_path / 'run' / name).stat().st_size


def test_the_former_place_of_deploy_says_where_it_is():
    import refinepose_mm.deploy as former
    from refinepose_mm.apis import deploy
    with pytest.warns(FutureWarning, match='moved to refinepose_mm.apis.deploy'):
        assert former.deploy is deploy
    with pytest.raises(AttributeError):
        _ = former.fly


@pytest.mark.parametrize('given, spins', [
    ({}, '1000'), ({'GOMP_SPINCOUNT': '7'}, '7'), ({'OMP_WAIT_POLICY': 'ACTIVE'}, None)])
def test_threads_spin_for_a_short_time_unless_the_user_says_otherwise(given, spins, monkeypatch):
    for name in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY'):
        monkeypatch.setenv(name, given.get(name, ''))  # so that it is restored
        if name not in given:
            monkeypatch.delenv(name)
    with pytest.raises(SystemExit):
        cli.main(['--version'])
    assert os.environ.get('GOMP_SPINCOUNT') == spins
    assert os.environ.get('OMP_WAIT_POLICY') == given.get('OMP_WAIT_POLICY')


def test_torch_is_not_imported_before_a_command_is_chosen():
    """Its threads read the environment when it is."""
    code = "import sys, refinepose_mm.cli; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, '-c', code], text=True).strip() == 'False'
