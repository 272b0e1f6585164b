"""The benchmark runs what it says, in turns; how long that takes is nobody's business here."""

import json

import pytest
import torch
from conftest import ROOT

from refinepose_mm import benchmark, cli


def test_functions_take_turns_and_warm_up():
    calls = []
    functions = dict(a=lambda: calls.append('a'), b=lambda: calls.append('b'))
    seconds = benchmark.compare(functions, rounds=3, device=torch.device('cpu'))
    assert calls == ['a', 'b'] * (benchmark.WARMUP_ROUNDS + 3)
    assert [len(times) for times in seconds.values()] == [3, 3]


def test_every_task_runs_for_every_variant(tmp_path, capsys):
    output = tmp_path / 'timings.json'
    code = cli.main(['benchmark', '--arch', 'tiny', '--img-size', '64', '48', '--batch', '2',
                     '--task', 'forward', 'predict', 'train', '--dtype', 'fp32', 'bf16',
                     '--rounds', '1', '--output', str(output)])
    assert code == 0
    timings = json.loads(output.read_text())
    assert [(r['task'], r['dtype']) for r in timings['results']] == [
        (task, dtype) for dtype in ('fp32', 'bf16') for task in ('forward', 'predict', 'train')]
    for result in timings['results']:
        names = set(result['seconds'])
        assert names >= {'ViTPose', 'ViTPose simple', 'RefinePose', 'RefinePose taper'}
        assert ('RefinePose, deploy()' in names) == (result['task'] != 'train')
    table = capsys.readouterr().out
    assert '| ViTPose | ' in table and ' | 1.00 |' in table


def test_a_missing_folder_is_named_before_anything_is_timed(capsys):
    assert cli.main(['benchmark', '--output', str(ROOT / 'nowhere/timings.json')]) == 2
    assert 'folder' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['ViTPose', 'ViTPose simple', 'RefinePose', 'RefinePose taper'])
def test_training_really_trains(name):
    model = benchmark.build(benchmark.variants('tiny', (64, 48))[name], torch.device('cpu'))
    before = model.head.final_layer.weight.detach().clone()
    benchmark.make_task('train', model, 2, (64, 48), torch.float32)()
    assert not torch.equal(model.head.final_layer.weight, before)
