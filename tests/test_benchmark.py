"""The benchmark runs what it says, in turns; how long that takes is nobody's business here."""

import json
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT

from refinepose_mm import cli
from refinepose_mm.benchmark import measure, subjects
from refinepose_mm.complexity import count


def test_functions_take_turns_and_warm_up():
    calls = []
    functions = dict(a=lambda: calls.append('a'), b=lambda: calls.append('b'))
    seconds = measure.compare(functions, rounds=3, device=torch.device('cpu'))
    assert calls == ['a', 'b'] * (measure.WARMUP_ROUNDS + 3)
    assert [len(times) for times in seconds.values()] == [3, 3]


def test_every_task_runs_for_every_variant(tmp_path, capsys):
    output, picture = tmp_path / 'timings.json', tmp_path / 'growth.png'
    code = cli.main(['benchmark', '--arch', 'tiny', '--img-size', '64x48', '--batch', '2',
                     '--task', 'forward', 'predict', 'train', 'decode', '--dtype', 'fp32', 'bf16',
                     '--engine', 'eager', 'deploy', 'torch-export', '--rounds', '1',
                     '--output', str(output), '--plot', str(picture)])
    assert code == 0
    timings = json.loads(output.read_text())
    assert [(r['task'], r['dtype']) for r in timings['results']] == [
        (task, dtype) for dtype in ('fp32', 'bf16')
        for task in ('forward', 'predict', 'train', 'decode')]
    for result in timings['results']:
        names, task = set(result['seconds']), result['task']
        assert all(len(times) == 1 and times[0] > 0 for times in result['seconds'].values())
        if task == 'decode':
            assert names == {'UDPHeatmap', 'BatchedUDPHeatmap'}
            continue
        assert names >= {'ViTPose', 'ViTPose simple', 'RefinePose', 'RefinePose taper'}
        assert ('RefinePose, deploy' in names) == (task != 'train')
        assert ('RefinePose, torch-export' in names) == (task == 'forward')
        assert ('share' in result) == (task == 'forward')
        if task == 'train':
            assert set(result['peak_mib']) == names
            assert min(result['peak_mib'].values()) > 1
    table = capsys.readouterr().out
    assert '| ViTPose | ' in table and ' | 1.00 |' in table
    assert picture.stat().st_size > 10_000


def test_both_decoders_of_the_benchmark_find_the_same_keypoints():
    theirs, ours = subjects.make_decoders(3, (128, 96), torch.device('cpu')).values()
    for (keypoints, _), expected in zip(theirs(), ours()[0]):
        np.testing.assert_allclose(keypoints, expected, atol=1e-2)


def test_a_wrong_size_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(['benchmark', '--img-size', '256'])
    assert 'expected HxW such as 256x192, got 256' in capsys.readouterr().err


def test_mmposes_own_model_asks_for_its_package(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'mmpretrain', None)
    assert cli.main(['benchmark', '--model', 'MMPose ViTPose']) == 2
    assert 'pip install --no-deps mmpretrain==1.2.0' in capsys.readouterr().err


@pytest.mark.parametrize('name, ours', zip(subjects.PEERS, ('ViTPose', 'ViTPose simple')))
def test_mmposes_own_models_are_what_ours_stand_for(name, ours):
    pytest.importorskip('mmpretrain', reason='optional, for MMPose\'s own ViTPose')
    configs, size = subjects.variants('tiny', (64, 48)), (64, 48)
    assert count(configs[name], size) == count(configs[ours], size)


def test_a_missing_folder_is_named_before_anything_is_timed(capsys):
    assert cli.main(['benchmark', '--output', str(ROOT / 'nowhere/timings.json')]) == 2
    assert 'folder' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['ViTPose', 'ViTPose simple', 'RefinePose', 'RefinePose taper'])
def test_training_really_trains(name):
    model = subjects.build(subjects.variants('tiny', (64, 48))[name], torch.device('cpu'))
    before = model.head.final_layer.weight.detach().clone()
    subjects.make_task('train', model, 2, (64, 48), torch.float32)()
    assert not torch.equal(model.head.final_layer.weight, before)
