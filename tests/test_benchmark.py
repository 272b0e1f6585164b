"""The benchmark runs what it says, in turns; how long that takes is nobody's business here."""

import json
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT
from peaks import give_peaks

from refinepose_mm import cli
from refinepose_mm.benchmark import against, measure, report, scene, tasks
from refinepose_mm.benchmark.case import PEERS, Case, build, variants
from refinepose_mm.complexity import count

OURS = [name for name in variants('tiny', (64, 48)) if name not in PEERS]


def test_functions_take_turns_and_warm_up():
    calls = []
    functions = dict(a=lambda: calls.append('a'), b=lambda: calls.append('b'))
    seconds = measure.compare(functions, rounds=3, device=torch.device('cpu'))
    assert calls == ['a', 'b'] * (measure.WARMUP_ROUNDS + 3)
    assert [len(times) for times in seconds.values()] == [3, 3]


def run_tiny(tmp_path, *words):
    """The records of a benchmark of tiny models, and the picture of them."""
    output, picture = tmp_path / 'timings.json', tmp_path / 'growth.png'
    assert cli.main(['benchmark', '--arch', 'tiny', '--img-size', '64x48', '--batch', '2',
                     '--rounds', '1', '--output', str(output), '--plot', str(picture), *words]) == 0
    assert picture.stat().st_size
    results = json.loads(output.read_text())['results']
    for times in (times for result in results for times in result['seconds'].values()):
        assert len(times) == 1 and times[0] > 0
    return results


def test_growth_has_a_line_for_each_model_and_size_in_the_panel_of_its_task():
    results = [
        dict(task=task, dtype='fp32', batch=batch, img_size=size,
             seconds={'A': [batch, 9 * batch, 2 * batch], 'B': [.5]}, peak_mib={'A': 100 * batch})
        for task in ('train', 'forward') for batch in (8, 1) for size in ((64, 48), (96, 96))]
    panels = {(axes.get_title(), axes.get_ylabel()): axes
              for axes in report.draw(results).axes if axes.get_title()}
    assert set(panels) == {(f'{task}, fp32', what) for task in ('train', 'forward')
                           for what in ('seconds', 'peak MiB')}
    lines = {line.get_label(): line for line in panels['train, fp32', 'seconds'].lines}
    assert set(lines) == {f'{name}, {size}' for name in 'AB' for size in ('64x48', '96x96')}
    # Medians, in rising order of the batch.
    assert lines['A, 64x48'].get_xydata().tolist() == [[1, 2], [8, 16]]
    memory, _ = panels['train, fp32', 'peak MiB'].lines
    assert memory.get_ydata().tolist() == [100, 800]


def timings(batch=8, **seconds):
    return dict(machine=dict(device='one'), results=[
        dict(task='forward', batch=batch, img_size=[64, 48], dtype='fp32', seconds=seconds)])


def test_ratios_are_compared_and_not_times():
    before = timings(A=[1., 2., 4.], B=[2., 4., 8.], C=[1., 2.2, 4.])
    twice = timings(A=[2., 4., 8.], B=[6., 12.6, 24.], C=[2., 4.2, 8.], D=[1., 1., 1.])
    *_, b, c = against.compare(before, twice).splitlines()
    assert b == ('| forward, 64x48, batch 8, fp32 | B / A | 2.00 (2.00 to 2.00) | '
                 '3.00 (3.00 to 3.08) | +50% | slower |')
    assert '| C / A | 1.00 (1.00 to 1.05) | 1.00 (1.00 to 1.02) | +0% | - |' in c
    assert against.compare(twice, before).splitlines()[-2].endswith('| -33% | faster |')
    other = timings(1, A=[1.], B=[1.])
    assert 'nothing to compare' in against.compare(timings(A=[1.], B=[1.]), other)


@pytest.mark.parametrize('text', ['', '[]', '{"results": []}', '{"machine": {}, "results": [{}]}',
                                  json.dumps(timings(A=[0.])), json.dumps(timings(A=['x']))])
def test_what_is_no_output_of_a_benchmark_is_refused(text, tmp_path, capsys):
    path = tmp_path / 'before.json'
    path.write_text(text)
    assert cli.main(['benchmark', '--against', str(path)]) == 2
    assert f'{path} is no output of `refinepose benchmark`' in capsys.readouterr().err


@pytest.mark.slow
def test_forward_pass_and_prediction_of_every_model(tmp_path, capsys):
    results = run_tiny(tmp_path, '--task', 'forward', 'predict', '--dtype', 'fp32', 'bf16',
                       '--engine', 'eager', 'deploy', 'torch-export')
    assert [(r['task'], r['dtype']) for r in results] == [
        (task, dtype) for dtype in ('fp32', 'bf16') for task in ('forward', 'predict')]
    for result in results:
        names, forward = set(result['seconds']), result['task'] == 'forward'
        for model in OURS:
            assert {model, f'{model}, deploy'} <= names
            assert (f'{model}, torch-export' in names) == forward  # a file has no flip test
        assert ('share' in result) == forward
        assert set(result['rates']) == {'matmul', 'convolution'}
        assert min(result['rates'].values()) > 1e8
    table = capsys.readouterr().out
    assert '| ViTPose | ' in table and ' | 1.00 |' in table
    assert 'bf16: matrix products at ' in table and 'of the rate' in table


@pytest.mark.slow
def test_training_and_scenes_have_their_peak_memory(tmp_path):
    train, scene, decode = run_tiny(
        tmp_path, '--task', 'train', 'scene', 'decode', '--model', 'ViTPose simple', 'RefinePose',
        '--engine', 'eager', 'deploy', 'torch-export')
    assert set(train['seconds']) == {'ViTPose simple', 'RefinePose'}
    assert set(scene['seconds']) == {
        f'{model}{engine}' for model in ('ViTPose simple', 'RefinePose')
        for engine in ('', ', deploy', ', torch-export')}
    for result in (train, scene):
        assert set(result['peak_mib']) == set(result['seconds'])
        assert min(result['peak_mib'].values()) > 1
    assert set(decode['seconds']) == {'UDPHeatmap', 'BatchedUDPHeatmap'}


def test_both_calls_of_a_scene_find_the_same_keypoints(tmp_path):
    cases = [Case('RefinePose', engine, 'scene', 'tiny', (64, 48), 3, 'fp32', torch.device('cpu'),
                  tmp_path) for engine in ('eager', 'deploy')]
    torch.manual_seed(0)
    model = give_peaks(cases[0].build())
    theirs, ours = (scene.make_scene(case, model) for case in cases)
    expected = np.concatenate([sample.pred_instances.keypoints for sample in theirs()])
    np.testing.assert_allclose(ours().keypoints, expected, atol=1e-2)


def test_both_decoders_of_the_benchmark_find_the_same_keypoints():
    theirs, ours = tasks.make_decoders(3, (128, 96), torch.device('cpu')).values()
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


@pytest.mark.parametrize('name, ours', zip(PEERS, ('ViTPose', 'ViTPose simple')))
def test_mmposes_own_models_are_what_ours_stand_for(name, ours):
    pytest.importorskip('mmpretrain', reason='optional, for MMPose\'s own ViTPose')
    configs, size = variants('tiny', (64, 48)), (64, 48)
    assert count(configs[name], size) == count(configs[ours], size)


def test_a_missing_folder_is_named_before_anything_is_timed(capsys):
    assert cli.main(['benchmark', '--output', str(ROOT / 'nowhere/timings.json')]) == 2
    assert 'folder' in capsys.readouterr().err


@pytest.mark.parametrize('name', OURS)
def test_training_really_trains(name):
    model = build(variants('tiny', (64, 48))[name], torch.device('cpu'))
    before = model.head.final_layer.weight.detach().clone()
    tasks.make_task('train', model, 2, (64, 48), torch.float32)()
    assert not torch.equal(model.head.final_layer.weight, before)
