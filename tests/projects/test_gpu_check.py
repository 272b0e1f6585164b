"""The check on a GPU: its steps and its report, without one."""

import importlib.util
import json
import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.fixture(scope='module')
def check():
    path = ROOT / 'projects/gpu_check/check.py'
    spec = importlib.util.spec_from_file_location('check', path)
    module = importlib.util.module_from_spec(spec)
    sys.modules['check'] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules['check']


def test_steps_for_cards(check, tmp_path):
    steps = {step.name: step for step in check.plan(tmp_path, 'cuda', 4, 'base', [64], 10)}
    assert {'train_fp16', 'train_bf16', 'train_compiled', 'train_distributed'} <= set(steps)
    words = steps['train_distributed'].command
    assert words[words.index('--gpus') + 1] == '4' and '--launcher' in words
    assert sum(step.seconds for step in steps.values()) < 30 * 60
    for word in check.TESTS:
        assert (ROOT / word).exists()


def test_a_failed_step_is_said_and_a_low_ap_is_one(check, tmp_path):
    scalars = tmp_path / 'run/1/vis_data/scalars.json'
    scalars.parent.mkdir(parents=True)
    scalars.write_text('\n'.join(map(json.dumps, [
        dict(loss=1., time=.2), dict(loss=1., time=.4), dict(loss=1., time=.3),
        {'coco/AP': .3}])))
    assert check.read_training(tmp_path / 'run', .2) == {'AP': .3, 'seconds per step': .3}
    good = check.Step('good', ['-c', 'print(1)'], 60, dict)
    low = check.Step('low', ['-c', ''], 60, lambda: check.read_training(tmp_path / 'run', .5))
    late = check.Step('late', ['-c', 'import time; time.sleep(60)'], 1, dict)
    bad = check.Step('bad', ['-c', 'raise SystemExit(3)'], 60, dict)
    found = {step.name: check.run(step, check.Path(sys.executable), tmp_path)
             for step in (good, low, late, bad)}
    assert {name: result['outcome'] for name, result in found.items()} == dict(
        good='ok', low='AP must reach 0.5, got 0.3', late='not done after 1 s, see late.txt',
        bad='exit code 3, see bad.txt')
    text = check.to_markdown(dict(device='X'), found)
    assert '| late | not done after 1 s, see late.txt |' in text


@pytest.mark.slow
def test_on_a_cpu(tmp_path):
    command = [sys.executable, 'projects/gpu_check/check.py', '--output', str(tmp_path / 'out'),
               '--device', 'cpu', '--arch', 'tiny', '--batch', '1', '--images', '8']
    done = subprocess.run([*command, '--steps', 'toy', 'inference'], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads((tmp_path / 'out/report.json').read_text())['steps']
    assert steps['inference']['outcome'] == 'ok'
    assert steps['inference']['forward fp32 1 RefinePose, ms'] > 0
    missing = subprocess.run([*command, '--wheels', str(tmp_path)], cwd=ROOT, capture_output=True,
                             text=True)
    assert missing.returncode == 1 and 'no wheels in' in missing.stderr
