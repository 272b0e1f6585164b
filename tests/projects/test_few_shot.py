"""The study of few persons: what it trains, and that its table is that of its records."""

import importlib
import json
import subprocess
import sys

import pytest
from conftest import ROOT
from toy_lspet import write_toy_lspet

STUDY = ROOT / 'projects/few_shot'
sys.path.insert(0, str(STUDY))
table, train, ways = map(importlib.import_module, ('table', 'train', 'ways'))


def record(way, persons, *scores, seed=0, steps=None):
    return dict(way=way, persons=persons, steps=steps or ways.SIZES[persons], seed=seed,
                metrics={str(number): {table.HEADLINE: value}
                         for number, value in enumerate(scores, 1)})


def test_the_table_has_the_last_score_and_the_spread_of_seeds():
    text = table.to_markdown([record('scratch', 20, .5, .10), record('scratch', 20, .14, seed=1),
                         record('whole', 50, .4), record('whole', 50, .9, steps=7)])
    lines = text.splitlines()
    assert lines[0] == '| | 20 persons | 50 persons | 200 persons | 1000 persons | 4500 persons |'
    assert lines[3:] == ['| `scratch` | 12.0 ± 2.8 | - | - | - | - |',
                         '| `whole` | - | 40.0 | - | - | - |']


@pytest.mark.parametrize('page', ['projects/few_shot/README.md', 'docs/own_data.md'])
def test_published_tables_are_those_of_the_records(page):
    _, published, _ = (ROOT / page).read_text().split(table.MARK)
    assert published == table.to_markdown(ways.read())
    if page == 'projects/few_shot/README.md':
        _, steps, _ = (ROOT / page).read_text().split(table.STEPS_MARK)
        assert steps == table.other_steps(ways.read())
    assert len({ways.key(line) for line in ways.read()}) == len(ways.read()) > 40


def test_other_numbers_of_steps_have_a_line_where_several_were_tried():
    text = table.other_steps([record('whole', 20, .4), record('whole', 20, .5, steps=100),
                              record('whole', 20, .6, steps=100, seed=1), record('whole', 50, .4)])
    assert text.splitlines()[2:] == ['| 20 | `whole` | 100: 55.0 ± 7.1; 300: 40.0 |']


def test_smaller_subsets_are_part_of_larger_ones(tmp_path):
    write_toy_lspet(tmp_path, train=12)
    chosen = []
    for persons in (3, 6):
        train.subset(tmp_path / 'lspet_train.json', persons, 1, True, tmp_path / 'part.json')
        part = json.loads((tmp_path / 'part.json').read_text())
        chosen.append({image['id'] for image in part['images']})
        assert {person['image_id'] for person in part['annotations']} == chosen[-1]
        assert part['categories'][0]['keypoints'][0] == 'right_ankle_of_mine'
    assert len(chosen[0]) == 3 and len(chosen[1]) == 6 and chosen[0] < chosen[1]


def test_steps_are_those_of_the_table_or_few_more():
    for persons, steps in ways.SIZES.items():
        settings = dict(line.split('=') for line in ways.options(
            ways.Run(persons, 'whole', steps, 3)))
        per_epoch = -(-persons // 32)
        total = int(settings['train_cfg.max_epochs']) * per_epoch
        assert steps <= total < steps + per_epoch
        assert settings[ways.DECAY] == '0.75' and settings['randomness.seed'] == '3'


@pytest.mark.slow
def test_a_run_is_recorded_and_not_repeated(tmp_path):
    write_toy_lspet(tmp_path, train=20, val=4)
    command = [sys.executable, STUDY / 'train.py', '--lspet', tmp_path, '--weights', tmp_path,
               '--ways', 'scratch', '--persons', '20', '--steps', '2', '--work-dir',
               tmp_path / 'work', '--records', tmp_path / 'records.jsonl']
    first, again = (subprocess.run(list(map(str, command)), capture_output=True, text=True,
                                   cwd=ROOT) for _ in range(2))
    assert first.returncode == 0 and '0 runs are done, 1 to do' in first.stdout, first.stdout
    assert '1 runs are done, 0 to do' in again.stdout
    line, = ways.read(tmp_path / 'records.jsonl')
    assert ways.key(line) == ways.Run(20, 'scratch', 2, 0)
    assert list(line['metrics']) == ['1', '2'] and set(line['metrics']['2']) == set(train.METRICS)
    missing = subprocess.run(list(map(str, [*command, '--ways', 'whole'])), capture_output=True,
                             text=True, cwd=ROOT)
    assert missing.returncode == 1 and 'has no refinepose.pth' in missing.stderr
