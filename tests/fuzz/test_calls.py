"""No bad call ends in a traceback, harms an input or leaves half a file; each says why it failed.

The calls go through ``main()`` in this process, but for a dozen. :mod:`calls` generates them,
:mod:`world` makes the files that they name.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import pytest
from calls import COMMANDS, generate, line
from conftest import ROOT
from mmengine.logging import MMLogger
from world import GOOD_CONFIGS, World

from refinepose_mm.cli import main

CALLS = generate()
SMOKE = CALLS[3::len(CALLS) // 14]  # for every run of the tests
PROCESSES = CALLS[7::len(CALLS) // 12]
LONGEST = 1500  # characters of the last line, beside those of the call
HALF = re.compile(r'^\.|\.(tmp|part|lock)$')
WITHOUT_RESULTS = ('.pth', '.safetensors', '.onnx', '.xml', '.bin', '.pt2', '.mp4', '.png')


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope='session')
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp('world'))


@pytest.fixture
def out(tmp_path, monkeypatch):
    """The folder of the call's outputs, and where it runs: defaults are relative."""
    folder = tmp_path / 'out'
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def named(words, world, out):
    """The words with names replaced by paths; {hard:NAME} and {soft:NAME} are links in `out`."""

    def path(match):
        kind, _, name = match[1].rpartition(':')
        if name == 'out':
            return str(out)
        source = world.path(name)
        if not kind:
            return str(source)
        suffix = re.search(r'\}(\.\w+)?$', match.string)[1] or ''
        link = out / f'{kind}_link'
        create = os.link if kind == 'hard' else os.symlink
        create(source, f'{link}{suffix}')
        return str(link)

    return [re.sub(r'\{([\w:.]+)\}', path, word) for word in words]


def in_process(words, capfd):
    MMLogger._instance_dict.clear()  # a process would begin without loggers
    capfd.readouterr()
    try:
        code = main(words)
    except SystemExit as end:  # argparse's way
        code = end.code
    return Result(code, *capfd.readouterr())


def in_a_process(words, out):
    done = subprocess.run(
        [sys.executable, '-m', 'refinepose_mm', *words], cwd=out, capture_output=True, text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)})
    return Result(done.returncode, done.stdout, done.stderr)


def require_a_clear_end(result: Result, words: list[str]):
    """Exit code 1 or 2, and a last line that says why."""
    assert result.code in (1, 2), result
    assert 'Traceback' not in result.out + result.err
    if words[:1] == ['check'] and result.code == 1:  # what is wrong is its result
        assert re.search(r'\d+ findings?, marked with !\n\Z', result.out), result
        return
    last = result.err.strip().splitlines()[-1]
    assert last.startswith('refinepose'), last
    reason = last.partition(': ')[2]
    assert 15 <= len(reason) and len(last) <= LONGEST + len(' '.join(words)), last
    assert 'unexpected' not in last, last
    assert not re.search(r'\bNone$|: $|object at 0x', last), last


def require_whole_files(folder: Path, before: set[Path]):
    """Nothing half or temporary was left; results only where a photo was skipped."""
    for path in set(folder.rglob('*')) - before:
        assert not HALF.search(path.name), path
        if path.is_dir():
            continue
        sheet = path.name == 'sheet.png'  # of `check`, beside its findings
        assert path.suffix not in WITHOUT_RESULTS or sheet, path
        if path.suffix == '.jpg' or sheet:
            assert cv2.imread(str(path)) is not None, path
        elif path.suffix == '.json':
            is_log = {'run', 'log'} & set(path.parts)
            for document in path.read_text().splitlines() if is_log else [path.read_text()]:
                json.loads(document)


def check(words, world, out, run):
    words = named(words, world, out)
    inputs, before = world.fingerprint(), set(out.rglob('*'))
    result = run(words)
    require_a_clear_end(result, words)
    require_whole_files(out, before)
    assert world.fingerprint() == inputs


def title(words):
    return re.sub(r'[^\w.:{}=, -]', '_', ' '.join(words))[:150] or 'nothing'


@pytest.mark.parametrize('words', SMOKE, ids=title)
def test_some_bad_calls(words, world, out, capfd):
    check(words, world, out, lambda words: in_process(words, capfd))


@pytest.mark.slow
@pytest.mark.parametrize('words', CALLS, ids=title)
def test_bad_calls(words, world, out, capfd):
    check(words, world, out, lambda words: in_process(words, capfd))


@pytest.mark.slow
@pytest.mark.parametrize('words', PROCESSES, ids=title)
def test_bad_calls_as_processes(words, world, out):
    check(words, world, out, lambda words: in_a_process(words, out))


def test_there_are_enough_bad_calls():
    assert len(CALLS) > 200 and 10 <= len(SMOKE) <= 20 and 12 <= len(PROCESSES) <= 14
    assert {words[0] for words in SMOKE} >= {'predict', 'test', 'export', 'check'}


@pytest.mark.parametrize('name', GOOD_CONFIGS)
def test_unusual_configs_work(name, world, out, capfd):
    """What the bad calls change is the only reason why they fail; other codecs are no mistake."""
    predict = {command.name: command for command in COMMANDS}['predict']
    words = named(line(predict, {'--config': [f'{{config_{name}}}']}), world, out)
    result = in_process(words, capfd)
    assert result.code == 0, result.err
    persons = json.loads((out / 'results/predictions.json').read_text())['photo.jpg']
    assert len(persons) == 1 and len(persons[0]['keypoints']) == 17
