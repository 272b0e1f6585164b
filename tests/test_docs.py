"""README and docs say what is true: commands parse, links and paths exist, code compiles."""

from __future__ import annotations

import argparse
import ast
import functools
import importlib
import importlib.util
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT

from refinepose_mm import cli
from refinepose_mm.datasets import toy_people

PAGES = sorted(str(path.relative_to(ROOT)) for pattern in (
    '*.md', 'docs/*.md', 'configs/README.md', 'projects/**/README.md', '.github/*.md')
    for path in ROOT.glob(pattern))
README_LINES = 110
BLOCK = re.compile(r'^( *)```(\w+)([^\n]*)\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)
SPAN = re.compile(r'(?<!`)`([^`\n]+)`(?!`)')
LINK = re.compile(r'\]\(([^()\s#:]*)(?:#([^()\s]*))?\)')
PATH = re.compile(r'(?<![\w/.-])(?:configs|docs|projects|refinepose_mm|requirements|tests)'
                  r'/[\w./-]*\w')
TITLE = re.compile(r'title="(.+)"')
MIM_SCRIPTS = {'train': 'train.py', 'test': 'test.py'}


class Command(NamedTuple):
    """A command in a page; one in running text may be a pattern, with brackets and placeholders."""

    page: str
    words: tuple[str, ...]
    complete: bool

    def __str__(self) -> str:
        return f'{self.page}: {" ".join(self.words)}'


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding='utf-8')


def blocks(page: str, language: str) -> list[tuple[str, str]]:
    """Fenced blocks of a language: what stands behind its name, and the content."""
    return [(info, re.sub(f'^{indent}', '', content, flags=re.MULTILINE))
            for indent, name, info, content in BLOCK.findall(text(page)) if name == language]


def commands(program: str) -> list[Command]:
    """Every call of a program in all pages."""
    found = []
    for page in PAGES:
        for _, content in blocks(page, 'bash'):
            for line in content.replace('\\\n', ' ').splitlines():
                words = shlex.split(line, comments=True)
                while words and re.fullmatch(r'\w+=.*', words[0]):  # its environment
                    words.pop(0)
                if words and words[0] == program:
                    found.append(Command(page, tuple(words), True))
        for span in SPAN.findall(BLOCK.sub('', text(page))):
            words = re.sub(r'[\[\]]', ' ', span).split()
            if words[0] == program and len(words) > 1:
                found.append(Command(page, tuple(words), False))
    return found


@functools.cache
def parser_of(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f'refinepose {command}')
    module = importlib.import_module(f'.{cli.COMMANDS[command][0]}', cli.__package__)
    module.add_arguments(parser)
    return parser


def flags_in(words: str) -> set[str]:
    return set(re.findall(r'(?<![\w-])--[a-z][\w-]*', words))


OURS = commands('refinepose')


def test_commands_of_all_kinds_are_found():
    """The other tests would pass on an empty list."""
    assert {command.words[1] for command in OURS if command.complete} >= {
        'predict', 'export', 'quantize', 'test', 'weights', 'benchmark', 'doctor'}
    assert len(commands('mim')) > 10 and len(commands('make')) > 10


@pytest.mark.parametrize('command', OURS, ids=str)
def test_refinepose_commands_parse(command, capsys):
    _, *words = command.words
    while words[0] in ('--debug', '--version', '--help'):
        words.pop(0)
        if not words:
            return
    name, *arguments = words
    if name == 'COMMAND':
        return
    assert name in cli.COMMANDS
    if command.complete:
        try:
            parser_of(name).parse_args(arguments)
        except SystemExit:
            pytest.fail(capsys.readouterr().err)
        if name == 'predict':  # the old form goes on, but is not for the docs
            assert len(parser_of(name).parse_args(arguments).source) == 1
    if name == 'run':  # the other words are those of the script
        arguments = arguments[:1]
    known = flags_in(parser_of(name).format_help())
    assert flags_in(' '.join(arguments)) <= known


def test_the_table_of_commands_is_complete():
    listed = re.findall(r'^\| `refinepose (\w+)', text('docs/commands.md'), re.MULTILINE)
    assert sorted(listed) == sorted(cli.COMMANDS)


@functools.cache
def mim_flags(command: str) -> set[str]:
    """What `mim train` or `mim test` knows itself, and what MMPose's script behind it knows."""
    function = importlib.import_module(f'mim.commands.{command}').cli
    own = {flag for option in function.params for flag in option.opts}
    spec = importlib.util.find_spec('mmpose')
    script = Path(spec.origin).parent / '.mim/tools' / MIM_SCRIPTS[command]
    return own | set(re.findall(r"add_argument\(\s*'(--[\w-]+)'", script.read_text()))


@pytest.mark.parametrize('command', commands('mim'), ids=str)
def test_mim_commands_name_known_flags_and_configs(command):
    name = command.words[1]
    if not command.complete and (name not in MIM_SCRIPTS or len(command.words) == 2):
        return
    assert flags_in(' '.join(command.words)) <= mim_flags(name)
    if command.complete:
        assert command.words[2] == 'mmpose'
        assert command.words[3].endswith('.py') or command.words[3].startswith('$')


@pytest.mark.parametrize('command', commands('make'), ids=str)
def test_make_targets_exist(command):
    targets = re.findall(r'^([a-z][\w-]*):', text('Makefile'), re.MULTILINE)
    assert {word for word in command.words[1:] if '=' not in word} <= set(targets)


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_to_files_and_headings(page):
    for target, anchor in LINK.findall(BLOCK.sub('', text(page))):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), f'{target} not found'
        if anchor:
            headings = re.findall(r'^#+ (.+)$', path.read_text(encoding='utf-8'), re.MULTILINE)
            slugs = [re.sub(r'[^\w -]', '', heading).lower().replace(' ', '-')
                     for heading in headings]
            assert anchor in slugs, f'{target} has no heading #{anchor}'


@pytest.mark.parametrize('page', [page for page in PAGES if page != 'CHANGELOG.md'])
def test_paths_exist(page):
    """The changelog may name files that have gone, examples those of their titles; MODEL.py and
    the like are placeholders."""
    own = set(TITLE.findall(text(page)))
    missing = {path for path in PATH.findall(text(page))
               if not (ROOT / path).exists()
               and not re.search(r'/[A-Z]+\.py$', path)} - own
    assert not missing


@pytest.mark.parametrize('page', PAGES)
def test_python_compiles_and_imports_what_exists(page):
    for _, code in blocks(page, 'python'):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith('refinepose_mm'):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f'{node.module} has no {alias.name}'


def test_every_promise_names_tests_that_exist():
    """docs/reliability.md: the names are those of pytest, and slow ones say so."""
    promises = text('docs/reliability.md')
    rows = re.findall(r'^\| (?!promise|what).+ \| (`tests/.+) \|$', promises, re.MULTILINE)
    named = re.findall(r'`(tests/[\w/]+\.py)::(\w+)`( \(slow\))?', promises)
    assert len(rows) > 30 and len(named) >= len(rows)
    for path, name, slow in named:
        functions = {node.name: node for node in ast.parse(text(path)).body
                     if isinstance(node, ast.FunctionDef)}
        assert name in functions, f'{path}::{name} does not exist'
        marks = [ast.unparse(mark) for mark in functions[name].decorator_list]
        assert bool(slow) == ('pytest.mark.slow' in marks), f'{path}::{name}'


def test_readme_is_a_door():
    assert len(text('README.md').splitlines()) <= README_LINES


@pytest.mark.slow
def test_own_data_trains_as_the_page_says(tmp_path, monkeypatch):
    """The commands of docs/own_data.md, on toy people that somebody calls mine."""
    toy_people.generate(tmp_path / 'toy', num_train=4, num_val=2)
    (tmp_path / 'mine').mkdir()
    for split in ('train', 'val'):
        (tmp_path / f'toy/annotations/person_keypoints_{split}.json').rename(
            tmp_path / f'mine/{split}.json')
        (tmp_path / f'toy/{split}').rename(tmp_path / f'mine/{split}')
    _, commands = blocks('docs/own_data.md', 'bash')[0]
    monkeypatch.chdir(tmp_path)
    for line in commands.splitlines():
        program, *words = shlex.split(line, comments=True)
        if program == 'cd':
            monkeypatch.chdir(tmp_path / words[0])
            continue
        if '--budget' in words:
            words[words.index('--budget') + 1] = '.3'
        last = sorted(tmp_path.glob('project/run/epoch_*.pth'))
        words = [str(last[-1]) if word == 'run/epoch_N.pth' else word for word in words]
        assert cli.main(words) in ((0, 1) if words[0] == 'check' else (0, ))
    assert last
