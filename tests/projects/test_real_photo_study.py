"""The study runs what is missing, keeps what is there, and reports from records alone."""

import csv
import importlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT
from mmengine.config import Config
from mmpose.apis import init_model
from peaks import give_peaks

STUDY = ROOT / 'projects/real_photo_study'


def module(name, monkeypatch):
    monkeypatch.syspath_prepend(str(STUDY))
    return importlib.import_module(name)


@pytest.fixture
def small_lspet(photos, tmp_path, monkeypatch):
    """Ten persons to train and four to validate on."""
    for split, count in (('train', 10), ('val', 4)):
        data = json.loads((photos / f'lspet/lspet_{split}.json').read_text())
        data['images'], data['annotations'] = data['images'][:count], data['annotations'][:count]
        (tmp_path / f'lspet_{split}.json').write_text(json.dumps(data))
        (tmp_path / split).symlink_to(photos / 'lspet' / split)
    monkeypatch.setenv('LSPET_ROOT', str(tmp_path))
    return tmp_path


def test_runs_are_recorded_resumed_and_reported(small_lspet):
    results, work_dir = small_lspet / 'results', small_lspet / 'work'
    command = [sys.executable, str(STUDY / 'run.py'), '--rows', 'vitpose_simple', '--seeds', '0',
               '--results', str(results), '--work-dir', str(work_dir)]
    first = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert first.returncode == 0, first.stderr[-3000:]
    assert '0 runs are done, 1 to do' in first.stdout
    path = results / 'cpu/vitpose_simple_seed0.json'
    record = json.loads(path.read_text())
    assert list(record['metrics']) == [str(epoch) for epoch in range(2, 13, 2)]
    assert record['params'] == 984302
    again = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert '1 runs are done, 0 to do' in again.stdout

    # A record of another config does not count; its checkpoint and log are still there.
    path.write_text(json.dumps(dict(record, fingerprint='other')))
    third = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert '0 runs are done, 1 to do' in third.stdout and third.returncode == 0
    assert json.loads(path.read_text())['metrics'] == record['metrics']


def test_missing_data_end_in_one_line(tmp_path):
    result = subprocess.run(
        [sys.executable, str(STUDY / 'run.py'), '--results', str(tmp_path)], cwd=ROOT,
        env={'LSPET_ROOT': str(tmp_path), 'PATH': ''}, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].endswith(
        'lspet_val.json not found; set LSPET_ROOT to the folder of LSP-Extended')


def test_the_table_has_means_and_spread(tmp_path, monkeypatch, capsys):
    report = module('report', monkeypatch)
    for row, seed, value in (('a', 0, .2), ('b', 0, .3), ('b', 1, .5)):
        metrics = {name: value for name in report.METRICS}
        (tmp_path / f'{row}_seed{seed}.json').write_text(json.dumps(dict(
            row=row, seed=seed, params=2e6, macs=3e7,
            losses=[[50, .011], [100, .01], [150, .0102 if seed else .0104], [200, .009]],
            metrics={'2': {name: .1 for name in metrics}, '4': metrics})))
    (tmp_path / report.TIMING).write_text(json.dumps(dict(ms_per_image=dict(b=4.))))
    report.write(tmp_path)
    lines = list(csv.DictReader((tmp_path / 'table.csv').open()))
    assert [line['row'] for line in lines] == ['b', 'a']
    assert lines[0]['PCK@0.1'] == '40.0 ± 14.1' and lines[1]['PCK@0.1'] == '20.0'
    assert [line['ms/image'] for line in lines] == ['4.0', '-']
    assert [line['jumps'] for line in lines] == ['1', '1']
    assert lines[0]['seeds'] == '2' and lines[0]['params (M)'] == '2.00'
    assert '| b | 2 | 1 | 40.0 ± 14.1 |' in capsys.readouterr().out
    assert (tmp_path / 'curves.png').stat().st_size > 10_000


@pytest.mark.parametrize('scale', ['cpu', 'cpu_long'])
def test_the_published_table_is_that_of_the_records(scale, monkeypatch):
    report = module('report', monkeypatch)
    rows = report.read(STUDY / 'results' / scale)
    mark = report.MARK.format(scale=scale)
    table = (STUDY / 'README.md').read_text().split(mark)[1]
    assert table == report.to_markdown(
        report.table(rows, report.read_timing(STUDY / 'results' / scale)))
    # Every record is one of a config as it is now.
    run = module('run', monkeypatch)
    for row, records in rows.items():
        for record in records:
            assert run.fingerprint(run.load(row, scale)) == record['fingerprint']


def test_a_row_whose_encoder_is_missing_is_named(small_lspet):
    result = subprocess.run(
        [sys.executable, str(STUDY / 'run.py'), '--rows', 'pretrained', '--seeds', '0',
         '--results', str(small_lspet / 'results')],
        capture_output=True, text=True, cwd=small_lspet)
    assert result.returncode == 1
    assert ('pretrained, seed 0: starts from work_dirs/real_photo_study/cpu_vitpose.pth, which is '
            'not there; put a trained checkpoint of vitpose_classic in its place') in result.stdout


def test_a_step_of_every_row_is_timed(small_lspet, monkeypatch):
    timing, run = module('timing', monkeypatch), module('run', monkeypatch)
    monkeypatch.setattr(run, 'ROWS', ['refinepose', 'vitpose_simple'])
    (small_lspet / 'cpu').mkdir()
    monkeypatch.setattr(sys, 'argv', ['timing.py', '--rounds', '1', '--results', str(small_lspet)])
    timing.main()
    written = json.loads((small_lspet / 'cpu/timing.json').read_text())
    assert list(written['ms_per_image']) == run.ROWS
    assert all(value > 0 for value in written['ms_per_image'].values())


def test_wrong_positions_are_tried(small_lspet, monkeypatch, capsys):
    positions = module('positions', monkeypatch)
    path, checkpoint = str(STUDY / 'configs/refinepose.py'), small_lspet / 'refinepose.pth'
    torch.manual_seed(0)
    model = give_peaks(init_model(Config.fromfile(path), device='cpu'))
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    monkeypatch.setattr(sys, 'argv', ['positions.py', path, str(checkpoint),
                                      '--work-dir', str(small_lspet / 'work')])
    positions.main()
    table = capsys.readouterr().out
    assert all(f'| {name} | ' in table for name in positions.UNPOOLINGS)

    x, given = torch.randn(2, 8, 4, 4), torch.randint(0, 4, (2, 4, 4, 4), dtype=torch.uint8)
    made = {name: unpool(x, given) for name, unpool in positions.UNPOOLINGS.items()}
    window_sums = {name: F.avg_pool2d(value, 2) * 4 for name, value in made.items()}
    torch.testing.assert_close(window_sums['at random positions'], x)
    torch.testing.assert_close(window_sums['spread over the window'], x)
    assert not torch.equal(made['at random positions'], made['as trained'])
    assert not made['left out'].any() and made['left out'].shape == (2, 8, 8, 8)
    monkeypatch.setattr(sys, 'argv', ['positions.py', str(STUDY / 'configs/vitpose_simple.py'),
                                      str(checkpoint)])
    with pytest.raises(SystemExit, match='vitpose_simple.py does not unpool'):
        positions.main()


def test_the_picture_page(small_lspet, monkeypatch):
    pictures = module('pictures', monkeypatch)
    words = []
    for row in ('vitpose_simple', 'refinepose'):
        path = str(STUDY / f'configs/{row}.py')
        torch.manual_seed(0)
        model = init_model(Config.fromfile(path), device='cpu')
        if row == 'refinepose':
            give_peaks(model)
        checkpoint = small_lspet / f'{row}.pth'
        torch.save(dict(state_dict=model.state_dict()), checkpoint)
        words += [path, str(checkpoint)]
    page = small_lspet / 'page.png'
    monkeypatch.setattr(sys, 'argv', ['pictures.py', str(page), *words, '--photos', '2'])
    pictures.main()
    assert page.stat().st_size > 50_000

    # The label is drawn where the crop has the joint.
    crop = pictures.load_crops(Config.fromfile(words[0]), 2)[1]
    assert crop['img'].shape == (96, 96, 3)
    inside = crop['transformed_keypoints'][0]
    assert np.median((inside > 0) & (inside < 96)) == 1
    monkeypatch.setattr(sys, 'argv', ['pictures.py', str(page), words[0], 'none.pth', *words[2:]])
    with pytest.raises(SystemExit, match='none.pth not found'):
        pictures.main()
