import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

from refinepose_mm import doctor
from refinepose_mm.cli import main

REFINEPOSE = Path(sys.executable).parent / 'refinepose'


def refinepose(*words, **keywords):
    return subprocess.run([str(REFINEPOSE), *words], capture_output=True, text=True, **keywords)


def test_finds_this_installation_healthy():
    result = refinepose('doctor')
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r'^ok mmpose\s+1\.3\.2', result.stdout, re.M)
    assert 'RefinePose can run.' in result.stdout


def test_names_a_missing_package_and_its_command(monkeypatch, capsys):
    missing = doctor.Package('no-such-package', 'no_such_package', '1.0', 'export')
    monkeypatch.setattr(doctor, 'PACKAGES', [missing])
    assert main(['doctor']) == 1
    out = capsys.readouterr().out
    assert re.search(r'^!! no-such-package\s+-\s+missing: pip install -r requirements/export', out,
                     re.M)
    assert 'RefinePose cannot run' in out


def test_a_missing_optional_package_is_no_illness(monkeypatch, capsys):
    monkeypatch.setattr(doctor, 'PACKAGES', [
        doctor.Package('no-such-package', 'no_such_package', None, 'export', False)])
    assert main(['doctor']) == 0
    assert 'not installed (optional): pip install -r requirements/export' in (
        capsys.readouterr().out)


def test_pyav_is_optional(monkeypatch):
    monkeypatch.setattr(doctor, 'installed_by', lambda: 'clone')
    package, = (package for package in doctor.PACKAGES if package.name == 'av')
    assert not package.required and 'lock.txt' in doctor.remedy(package.group)


def installed(monkeypatch, folder, *files, prefix='/usr'):
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    monkeypatch.setattr(doctor, 'ROOT', folder)
    monkeypatch.setattr(sys, 'prefix', str(prefix))


def test_advice_is_for_how_it_was_installed(monkeypatch, tmp_path):
    lock, stamp = 'requirements/lock.txt', '.venv/.installed'
    by_lock = f'pip install --no-deps -r {lock}'
    for name, files, prefix, way, needed in (
            ('a', [], '/usr', 'pip', 'pip install --no-build-isolation "refinepose_mm[openmmlab]"'),
            ('b', [lock], '/usr', 'clone', by_lock),
            ('c', [lock, stamp], tmp_path / 'c/.venv', 'make', 'make -B setup'),
            # The clone has make's environment, but another one runs.
            ('d', [lock, stamp], '/usr', 'clone', by_lock)):
        installed(monkeypatch, tmp_path / name, *files, prefix=prefix)
        assert doctor.installed_by() == way
        assert doctor.remedy('needed') == needed
        for package in doctor.PACKAGES:
            advice = doctor.remedy(package.group)
            assert ('requirements/' in advice or 'make' in advice) == (way != 'pip'), package


def test_says_where_its_commands_are_for(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(doctor, 'PACKAGES', [])
    installed(monkeypatch, tmp_path, 'requirements/lock.txt')
    main(['doctor'])
    assert f', from the clone {tmp_path}, where the commands' in capsys.readouterr().out
    installed(monkeypatch, tmp_path / 'elsewhere')
    main(['doctor'])
    assert ', installed with pip\n' in capsys.readouterr().out


def test_the_commands_of_a_clone_are_those_of_its_files():
    for way in ('make', 'clone'):
        for command in doctor.REMEDIES[way].values():
            for name in re.findall(r'requirements/\S+', command):
                assert (ROOT / name).is_file()
    assert re.search('^setup:', (ROOT / 'Makefile').read_text(), re.M)


def built_for_another_numpy(folder, *packages):
    """Packages that fail in their compiled part only: jin-s13/xtcocoapi#45."""
    for package in packages:
        (folder / package).mkdir()
        (folder / package / '__init__.py').touch()
        for name in ('coco', 'mask'):
            (folder / package / f'{name}.py').write_text(
                'raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")')


def test_numpy_2_beside_packages_for_numpy_1_is_the_cause(tmp_path):
    """It gets the blame, and what fails because of it points there."""
    (tmp_path / 'numpy-2.3.5.dist-info').mkdir()
    (tmp_path / 'numpy-2.3.5.dist-info/METADATA').write_text(
        'Metadata-Version: 2.1\nName: numpy\nVersion: 2.3.5\n')
    built_for_another_numpy(tmp_path, 'xtcocotools', 'pycocotools')
    result = refinepose('doctor', env=dict(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]),
                                           PATH=''))
    assert result.returncode == 1
    assert re.search(r'^!! numpy +2[.]3[.]5 +the installed xtcocotools was built for numpy 1; '
                     r'try: \S', result.stdout, re.M)
    for name in ('mmpose', 'xtcocotools'):
        assert re.search(f'^!! {name} .* does not import because of numpy, see there$',
                         result.stdout, re.M)


def test_numpy_2_alone_is_no_illness(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.importlib.metadata, 'version', lambda name: '2.3.5')
    assert doctor.examine(doctor.Package('numpy', 'numpy', '1.26.4', 'numpy')) == (
        '2.3.5', 'tested with 1.26.4', True)


def test_the_first_line_comes_before_anything_slow(tmp_path):
    """The package examined first waits for the reader of the line, but not without end."""
    waited = tmp_path / 'waited'
    (tmp_path / 'torch.py').write_text(
        'import pathlib, select, sys\n'
        f'select.select([sys.stdin], [], [], 15)[0] or pathlib.Path({str(waited)!r}).touch()\n')
    process = subprocess.Popen(
        [sys.executable, '-m', 'refinepose_mm', 'doctor'], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        env=dict(PYTHONPATH=str(tmp_path)))
    assert process.stdout.readline().startswith('Python 3.')
    assert process.stdout.readline().startswith('refinepose_mm ')
    process.communicate('go on\n', timeout=100)
    assert process.returncode == 1
    assert not waited.exists()


def test_lists_the_hook(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(doctor, 'PACKAGES', [])
    monkeypatch.setattr(doctor, 'site_packages', lambda: tmp_path)
    main(['doctor'])
    assert '_refinepose_mm_hook' not in capsys.readouterr().out
    main(['doctor', '--install-hook'])
    main(['doctor'])
    assert f'   hook          {tmp_path}/_refinepose_mm_hook.pth\n' in capsys.readouterr().out


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
    for name in ('xtcocotools', 'pycocotools'):
        (tmp_path / name).mkdir()
        (tmp_path / name / '__init__.py').touch()
        (tmp_path / name / 'mask.py').write_text('raise ImportError("undefined symbol: rleInit")')
    environment = dict(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]), PATH='')
    result = refinepose('doctor', env=environment)
    assert result.returncode == 1
    assert re.search(r'^!! xtcocotools .*undefined symbol: rleInit', result.stdout, re.M)
    result = refinepose('complexity', env=environment)
    assert result.returncode == 2
    assert re.search('undefined symbol: rleInit; `refinepose doctor` says', result.stderr)
    assert 'Traceback' not in result.stderr


def test_pycocotools_in_place_of_xtcocotools_is_no_illness(tmp_path):
    built_for_another_numpy(tmp_path, 'xtcocotools')
    result = refinepose('doctor', env=dict(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]),
                                           PATH=''))
    assert result.returncode == 0, result.stdout
    assert re.search('^   xtcocotools +.*; pycocotools evaluates in its place$', result.stdout,
                     re.M)


def test_a_missing_xtcocotools_has_an_alternative(monkeypatch):
    def version(name):
        if name == 'xtcocotools':
            raise doctor.importlib.metadata.PackageNotFoundError(name)
        return '2.0.10'
    monkeypatch.setattr(doctor.importlib.metadata, 'version', version)
    package, = (package for package in doctor.PACKAGES if package.name == 'xtcocotools')
    _, remark, good = doctor.examine(package._replace(module='pycocotools.mask'))
    assert good and remark == 'pycocotools in place of xtcocotools, tested with 1.14.3'


def test_an_old_torch_is_refused(tmp_path):
    """MMEngine's checkpoints and torch.export need 2.6; 2.5.1 imports well, and so did we."""
    (tmp_path / 'torch-2.5.1.dist-info').mkdir()
    (tmp_path / 'torch-2.5.1.dist-info/METADATA').write_text(
        'Metadata-Version: 2.1\nName: torch\nVersion: 2.5.1\n')
    (tmp_path / 'sitecustomize.py').write_text(
        'import torch\ntorch.__version__ = torch.torch_version.TorchVersion("2.5.1")\n')
    environment = dict(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]), PATH='')
    result = refinepose('doctor', env=environment)
    assert result.returncode == 1
    assert re.search(r'^!! torch +2[.]5[.]1 +2[.]6 or later is needed; try: \S', result.stdout,
                     re.M)
    result = refinepose('complexity', env=environment)
    assert result.returncode == 2
    assert result.stderr.strip() == ('refinepose complexity: torch 2.6 or later is needed, got '
                                     '2.5.1; `refinepose doctor` says what is missing')


def test_the_oldest_torch_is_written_alike():
    from refinepose_mm.compat import OLDEST_TORCH
    torch, = (package for package in doctor.PACKAGES if package.name == 'torch')
    assert torch.oldest == OLDEST_TORCH
    assert f'"torch>={OLDEST_TORCH}"' in (ROOT / 'pyproject.toml').read_text()


def test_tested_versions_are_those_of_the_lock():
    lines = [line.partition('#')[0] for name in ('torch', 'lock')
             for line in (ROOT / f'requirements/{name}.txt').read_text().splitlines()]
    pins = [Requirement(line) for line in lines if line.strip()]
    tested_python = {'python_version': '3.11'}
    locked = {pin.name: str(pin.specifier)[2:] for pin in pins
              if pin.marker is None or pin.marker.evaluate(tested_python)}
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
