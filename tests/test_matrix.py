"""`make matrix` runs what is claimed: no set is missing, and none is claimed that cannot be run."""

import importlib.util
import re

from conftest import ROOT

from refinepose_mm.compat import OLDEST_TORCH

SPEC = importlib.util.spec_from_file_location('matrix', ROOT / 'requirements/matrix.py')
matrix = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(matrix)
PYPROJECT = (ROOT / 'pyproject.toml').read_text()


def test_every_python_of_the_package_has_a_set():
    claimed = re.findall(r'Python :: (3[.]\d+)"', PYPROJECT)
    assert claimed == [chosen.python for chosen in matrix.SETS.values()]
    assert f'requires-python = ">={matrix.SETS["oldest"].python}"' in PYPROJECT


def test_the_oldest_torch_is_the_one_that_is_accepted():
    assert f'torch=={OLDEST_TORCH}.0' in matrix.SETS['oldest'].torch


def test_the_workflow_runs_the_same_sets():
    workflow = (ROOT / '.github/workflows/matrix.yml').read_text()
    sets = re.findall(r'\{set: "?([\w.]+)"?, python: "([\d.]+)"\}', workflow)
    assert sets == [(name, chosen.python) for name, chosen in matrix.SETS.items()]


def test_the_table_of_the_documentation_has_the_same_sets():
    rows = re.findall(r'^\| ([\w.]+) \| (3[.]\d+) \|', (ROOT / 'docs/install.md').read_text(), re.M)
    assert rows == [(name, chosen.python) for name, chosen in matrix.SETS.items()]


def test_a_missing_python_and_an_unknown_set_are_said(monkeypatch, capsys):
    monkeypatch.setattr(matrix.shutil, 'which', lambda name: None)
    assert matrix.main(['newest']) == 1
    assert '| not run: no python3.13 in PATH |' in capsys.readouterr().out
    assert matrix.main(['newest', 'dusty']) == 2
    assert capsys.readouterr().err == (
        'sets must be among oldest, 3.10, tested, 3.12, newest, got dusty\n')
