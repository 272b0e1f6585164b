import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from refinepose_mm import doctor

REFINEPOSE = Path(sys.executable).parent / 'refinepose'


def refinepose(*words, **keywords):
    return subprocess.run([str(REFINEPOSE), *words], capture_output=True, text=True, **keywords)


def test_finds_this_installation_healthy():
    result = refinepose('doctor')
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r'^ok mmpose\s+1\.3\.2', result.stdout, re.M)
    assert 'RefinePose can run.' in result.stdout


def test_names_a_missing_package_and_its_command(monkeypatch, capsys):
    missing = doctor.Package('no-such-package', 'no_such_package', '1.0', 'pip install it')
    monkeypatch.setattr(doctor, 'PACKAGES', [missing])
    assert doctor.run(None) == 1
    out = capsys.readouterr().out
    assert re.search(r'^!! no-such-package\s+-\s+missing: pip install it', out, re.M)
    assert 'RefinePose cannot run' in out


def test_a_missing_optional_package_is_no_illness(monkeypatch, capsys):
    monkeypatch.setattr(doctor, 'PACKAGES', [
        doctor.Package('no-such-package', 'no_such_package', None, 'pip install it', False)])
    assert doctor.run(None) == 0
    assert 'not installed (optional): pip install it' in capsys.readouterr().out


def test_runs_where_mmpose_does_not_import(tmp_path):
    """A broken mmpose ahead on the path: other commands end in a line, the doctor explains."""
    broken = tmp_path / 'mmpose'
    broken.mkdir()
    (broken / '__init__.py').write_text('raise ImportError("this mmpose is broken")')
    environment = dict(PYTHONPATH=str(tmp_path), PATH='')
    result = refinepose('doctor', env=environment)
    assert result.returncode == 1
    assert re.search(r'^!! mmpose .*does not import: this mmpose is broken', result.stdout, re.M)
    result = refinepose('complexity', env=environment)
    assert result.returncode == 2
    assert result.stderr.strip() == (
        'refinepose complexity: this mmpose is broken; `refinepose doctor` says what is missing')
    result = subprocess.run([sys.executable, '-m', 'refinepose_mm', 'doctor'], env=environment,
                            capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 1


def test_a_package_is_imported_down_to_its_compiled_part(tmp_path):
    """A wheel for another numpy fails there only: jin-s13/xtcocoapi#45."""
    broken = tmp_path / 'xtcocotools'
    broken.mkdir()
    (broken / '__init__.py').touch()
    for name in ('coco', 'mask'):
        (broken / f'{name}.py').write_text('raise ValueError("numpy.dtype size changed")')
    environment = dict(PYTHONPATH=str(tmp_path), PATH='')
    result = refinepose('doctor', env=environment)
    assert result.returncode == 1
    assert re.search(r'^!! xtcocotools .*numpy.dtype size changed', result.stdout, re.M)
    result = refinepose('complexity', env=environment)
    assert result.returncode == 2
    assert 'numpy.dtype size changed; `refinepose doctor` says' in result.stderr
    assert 'Traceback' not in result.stderr


def test_tested_versions_are_those_of_the_lock():
    lines = [line for name in ('torch', 'lock')
             for line in (ROOT / f'requirements/{name}.txt').read_text().splitlines()]
    locked = dict(re.match(r'([\w-]+)==([\w.]+)', line).groups() for line in lines if '==' in line
                  and not line.startswith('#'))
    tested = {p.name: p.tested for p in doctor.PACKAGES if p.tested}
    assert tested == {name: locked[name] for name in tested}


def test_errors_end_in_one_line():
    result = refinepose('complexity', '--arch', 'tiny', '--img-size', '250', '192')
    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1] == (
        'refinepose complexity: input must be divisible by 16, got 250x192')
    assert 'Traceback' not in result.stderr


@pytest.mark.parametrize('words, message', [
    (['complexity', '--arch', 'giant'], "invalid choice: 'giant'"),
    (['dance'], "invalid choice: 'dance'"),
])
def test_wrong_words_are_explained(words, message):
    result = refinepose(*words)
    assert result.returncode == 2
    assert message in result.stderr
