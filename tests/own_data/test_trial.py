"""`refinepose check CONFIG`: what stands against a run, or what its first steps need."""

from __future__ import annotations

import re

import dirty
import pytest
from conftest import ROOT
from mmengine.config import Config

from refinepose_mm import cli
from refinepose_mm.own_data.trial import Trial, duration

CONFIG = ROOT / 'configs/refinepose_tiny_toy.py'


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The toy config on few people, in a file that a test may change."""
    dirty.draw(tmp_path / 'toy', train=8, val=2)
    monkeypatch.setenv('TOY_ROOT', str(tmp_path / 'toy'))
    monkeypatch.chdir(tmp_path)
    config = Config.fromfile(CONFIG)
    config.merge_from_dict({'train_dataloader.batch_size': 2, 'train_cfg.max_epochs': 6,
                            'train_cfg.val_interval': 2})

    def write(**changes):
        config.merge_from_dict(changes)
        config.dump(tmp_path / 'config.py')
        return str(tmp_path / 'config.py')

    return write


def test_a_sound_config_is_measured_and_leaves_nothing_behind(config, tmp_path, capsys):
    path = config()
    before = sorted(tmp_path.iterdir())
    assert cli.main(['check', path]) == 0
    output = capsys.readouterr().out
    steps = re.search(r'epoch +\S+ \w+ for (\d+) steps', output)
    assert steps and int(steps[1]) >= 5
    for words in (r'model +0\.\d+ million|model +1\.\d+ million', r'step +\S+ seconds for 2 pers',
                  r'memory +\d\.\d GiB', r'validation +\S+ seconds, 3 times',
                  r'run +6 epochs: about \S+ (seconds|minutes)', r'nothing is wrong$'):
        assert re.search(words, output.strip()), words
    assert sorted(tmp_path.iterdir()) == before


def test_what_stands_against_a_run_is_listed(config, capsys):
    assert cli.main(['check', config(**{'train_dataloader.dataset.ann_file': 'none.json',
                                        'model.head.out_channels': 5})]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('  ! config')]
    assert any('none.json not found' in line for line in lines)
    assert any('gives 5 keypoints' in line for line in lines)


@pytest.mark.parametrize(('change', 'reason'), [
    ({'model.backbone.arch': 'middle'}, "unknown arch 'middle'"),
    ({'optim_wrapper.optimizer.speed': 1}, "argument 'speed'"),
    ({'model.head.in_channels': 64}, '64')])
def test_what_only_the_first_steps_show_is_said(config, capsys, change, reason):
    assert cli.main(['check', config(**change)]) == 1
    line, = [line for line in capsys.readouterr().out.splitlines() if line.startswith('  ! ')]
    assert line.startswith('  ! first steps') and reason in line


def test_options_of_a_json_are_refused_for_a_config(config, capsys):
    assert cli.main(['check', config(), '--images', 'photos']) == 2
    assert capsys.readouterr().err.strip().endswith('--images is for a json, not for a config')


def test_workers_hide_the_loading_that_is_faster_than_the_steps():
    trial = Trial(1, 32, load=3, step=2, steps=10, epochs=4, validation=5, validations=2, memory=1,
                  gpu_memory=0, loss=1)
    assert trial.epoch(0) == 50 and trial.epoch(1) == 30 and trial.epoch(2) == 20
    assert trial.run(2) == 90


def test_durations_are_said_in_one_unit():
    assert [duration(seconds) for seconds in (.25, 3, 119, 120, 7199, 7200, 172800)] == [
        '0.25 seconds', '3 seconds', '119 seconds', '2 minutes', '120 minutes', '2.0 hours',
        '2.0 days']
