"""The wheel and the source archive hold what people need who have no clone."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import ROOT

from refinepose_mm.datasets import toy_people
from refinepose_mm.version import __version__

pytestmark = pytest.mark.slow
IGNORED = shutil.ignore_patterns('.*', '__pycache__', '*.egg-info', 'build', 'data', 'dist',
                                 'work_dirs')


def run(*words, **keywords):
    """Run a command and return what it printed."""
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True, **keywords)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A copy of the sources, for a build leaves files behind."""
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp('source') / 'refinepose_mm',
                                ignore=IGNORED))


@pytest.fixture(scope='module')
def installed(source, tmp_path_factory):
    """The folder of scripts of an environment with the built wheel, not an editable one."""
    folder = tmp_path_factory.mktemp('installed')
    run(sys.executable, ROOT / 'requirements/layer.py', folder)
    run(folder / 'bin/python', '-m', 'pip', 'install', '--no-deps', '--no-build-isolation',
        '--no-index', source)
    return folder / 'bin'


def test_the_source_archive_has_configs_requirements_and_tests(source):
    run(sys.executable, 'setup.py', '-q', 'sdist', cwd=source)
    with tarfile.open(source / f'dist/refinepose_mm-{__version__}.tar.gz') as archive:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    wanted = {'Makefile', 'CHANGELOG.md', 'requirements/lock.txt', 'requirements/layer.py',
              'configs/_base_/coco.py', 'tests/conftest.py', 'tests/golden/v0_1_0/files.tar.xz',
              'projects/ablations/metafile.yml', 'tools/train.py', 'refinepose_mm/py.typed',
              'refinepose_mm/deploy/web/static/index.html',
              'refinepose_mm/deploy/web/static/style.css'}
    assert wanted - names == set()


def test_the_package_is_the_installed_one(installed, tmp_path):
    where = run(installed / 'python', '-c', 'import refinepose_mm; print(refinepose_mm.__file__)',
                cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    assert run(installed / 'refinepose', '--version', cwd=tmp_path).strip() == __version__


def test_the_page_for_browsers_is_in_the_wheel(installed, tmp_path):
    listed = run(installed / 'python', '-c', 'from refinepose_mm.deploy.web.page import STATIC; '
                 'print(*(path.name for path in STATIC.iterdir()))', cwd=tmp_path)
    ours = {path.name for path in (ROOT / 'refinepose_mm/deploy/web/static').iterdir()}
    assert set(listed.split()) == ours and 'index.html' in ours


def test_mim_finds_the_models_from_any_folder(installed, tmp_path):
    found = run(installed / 'mim', 'search', 'refinepose_mm', cwd=tmp_path)
    assert 'refinepose_vitb_coco' in found and 'ablation_table3_conv' in found


def test_mim_trains_and_tests_from_any_folder(installed, tmp_path):
    toy_people.generate(tmp_path / 'toy', num_train=4, num_val=2)
    common = dict(cwd=tmp_path, env={**os.environ, 'TOY_ROOT': str(tmp_path / 'toy')})
    config = ('refinepose_mm', 'refinepose_tiny_toy.py', '--gpus', '0', '--work-dir', 'run')
    run(installed / 'mim', 'train', *config, '--cfg-options', 'train_cfg.max_epochs=1',
        'train_dataloader.batch_size=4', **common)
    tested = run(installed / 'mim', 'test', *config, '--checkpoint', 'run/epoch_1.pth', **common)
    assert 'coco/AP' in tested
