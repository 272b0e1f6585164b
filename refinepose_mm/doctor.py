"""`refinepose doctor`: what is installed, what is repaired, what is missing and how to mend it."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import platform
import re
import sys
from pathlib import Path
from typing import NamedTuple

from .hook import hook_files, install_hook, remove_hook, site_packages
from .version import __version__

ROOT = Path(__file__).parents[1]
# How this package was installed: group of packages -> the command that installs or mends it.
REMEDIES = {
    'make': {
        'needed': 'make -B setup',
        'video': 'make -B setup',
        'export': 'pip install -r requirements/export.txt -c requirements/lock.txt',
    },
    'clone': {
        'needed': 'pip install --no-deps -r requirements/lock.txt',
        'torch': 'pip install -r requirements/torch.txt -c requirements/lock.txt',
        'video': 'pip install --no-deps -r requirements/lock.txt',
        'export': 'pip install -r requirements/export.txt -c requirements/lock.txt',
    },
    'pip': {
        'needed': 'pip install --no-build-isolation "refinepose_mm[openmmlab]"',
        'torch': 'pip install torch torchvision',
        'numpy': 'pip install "numpy<2"',
        'video': 'pip install "refinepose_mm[video]"',
        'export': 'pip install "refinepose_mm[export]"',
    },
}


class Package(NamedTuple):
    """A distribution to look for: the version that was tested, and the group that installs it.

    `module` is one whose import uses all that breaks: compiled parts and other packages. No version
    before `oldest` works.
    """

    name: str
    module: str
    tested: str | None
    group: str = 'needed'
    required: bool = True
    oldest: str | None = None


PACKAGES = [
    Package('torch', 'torch', '2.13.0', 'torch', oldest='2.6'),
    Package('torchvision', 'torchvision', '0.28.0', 'torch'),
    Package('numpy', 'numpy', '1.26.4', 'numpy'),
    Package('opencv-python-headless', 'cv2', '4.11.0.86'),
    Package('mmengine', 'mmengine', '0.10.7'),
    Package('mmcv-lite', 'mmcv.ops', '2.1.0'),
    Package('mmpose', 'mmpose.apis', '1.3.2'),
    Package('xtcocotools', 'xtcocotools.mask', '1.14.3'),
    Package('openmim', 'mim', '0.3.9'),
    Package('setuptools', 'pkg_resources', '80.8.0'),
    Package('mmdet', 'mmdet.apis', '3.3.0', required=False),
    Package('safetensors', 'safetensors', '0.6.2', required=False),
    Package('av', 'av', None, 'video', required=False),
    Package('onnxruntime', 'onnxruntime', None, 'export', required=False),
    Package('openvino', 'openvino', None, 'export', required=False),
]
# Either distribution provides the module.
ALTERNATIVES = {'opencv-python-headless': 'opencv-python', 'mmcv-lite': 'mmcv',
                'xtcocotools': 'pycocotools'}
BUILT_FOR_NUMPY = 'xtcocotools'  # its wheels have the binary interface of numpy 1
# What compiled code says beside a numpy of another major version: jin-s13/xtcocoapi#45.
OTHER_NUMPY = re.compile('numpy[.]dtype size changed|compiled using NumPy 1|_ARRAY_API not found'
                         '|numpy[.]core[.]multiarray failed to import')


def installed_by() -> str:
    """How this package came here: 'make' or 'clone' (both with a lock file), or 'pip'."""
    if not (ROOT / 'requirements/lock.txt').is_file():
        return 'pip'
    return 'make' if (ROOT / '.venv/.installed').is_file() and (
        Path(sys.prefix) == ROOT / '.venv') else 'clone'


def remedy(group: str) -> str:
    """The command that installs or mends a group of packages, for how this one was installed."""
    remedies = REMEDIES[installed_by()]
    return remedies.get(group, remedies['needed'])


def examine(package: Package) -> tuple[str, str, bool]:
    """Look for one package.

    Returns:
        Its version or '-', a remark for people, and whether all is well.
    """
    version = None
    name = package.name
    for name in filter(None, (package.name, ALTERNATIVES.get(package.name))):
        try:
            version = importlib.metadata.version(name)
            break
        except importlib.metadata.PackageNotFoundError:
            continue
    if version is None:
        kind = 'missing' if package.required else 'not installed (optional)'
        return '-', f'{kind}: {remedy(package.group)}', not package.required
    if package.name == 'numpy' and (error := _numpy_mismatch(version)):
        return version, f'{error}; try: {remedy("numpy")}', False
    try:
        importlib.import_module(package.module)
    except Exception as error:  # whatever a broken package raises, the doctor goes on
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
        if OTHER_NUMPY.search(reason) and _numpy_mismatch(importlib.metadata.version('numpy')):
            return version, 'does not import because of numpy, see there', False
        return version, f'does not import: {reason}; try: {remedy(package.group)}', False
    if package.oldest and _numbers(version) < _numbers(package.oldest):
        return version, f'{package.oldest} or later is needed; try: {remedy(package.group)}', False
    remarks = [] if name == package.name else [f'{name} in place of {package.name}']
    if package.tested and version.split('+')[0] != package.tested:
        remarks.append(f'tested with {package.tested}')
    return version, ', '.join(remarks), True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split('.')[:2])


def _numpy_mismatch(version: str) -> str | None:
    """Why a numpy is not the one that compiled packages beside it were built for."""
    if int(version.split('.')[0]) < 2:
        return None
    try:
        importlib.import_module(f'{BUILT_FOR_NUMPY}.mask')
    except Exception as error:  # whatever it raises
        if OTHER_NUMPY.search(str(error)):
            return f'the installed {BUILT_FOR_NUMPY} was built for numpy 1'
    return None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose doctor`."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument('--install-hook', action='store_true',
                        help="let MMPose's scripts find the repairs unchanged: writes two small "
                        'files into site-packages')
    choice.add_argument('--remove-hook', action='store_true', help='remove these files')


def run(args: argparse.Namespace) -> int:
    """Print the examination, or install or remove the hook.

    Returns:
        0 if RefinePose can run, 1 if something required is missing or broken.

    Raises:
        PermissionError: If the hook cannot be written or removed.
    """
    if args.install_hook or args.remove_hook:
        return _change_hook(args.install_hook)
    # Before anything that takes seconds, or may be broken.
    print(f'Python {platform.python_version()} on {platform.platform()}')
    way = installed_by()
    origin = 'installed with pip' if way == 'pip' else (
        f'{"set up by make in" if way == "make" else "from the clone"} {ROOT}, where the commands '
        'below are for')
    print(f'refinepose_mm {__version__}, {origin}\n', flush=True)
    try:
        from . import compat
        repairs = compat.repair()
    except Exception as error:  # explained by the packages below
        repairs = {'failed': str(error)}
    healthy = True
    for package in PACKAGES:
        version, remark, good = examine(package)
        healthy &= good
        print(f'{"ok" if good else "!!":3}{package.name:24}{version:16}{remark}'.rstrip())
    print('\nRepairs in force:' if repairs else '\nNo repairs were needed.')
    for name, line in repairs.items():
        print(f'   {name:14}{line}')
    for path in hook_files(site_packages()):
        print(f'   {"hook":14}{path}')
    print(f'\nCUDA: {_cuda()}')
    print('RefinePose can run.' if healthy else 'RefinePose cannot run: see the lines with !!.')
    return 0 if healthy else 1


def _change_hook(install: bool) -> int:
    folder = site_packages()
    paths = install_hook(folder) if install else remove_hook(folder)
    for path in paths:
        print(f'{"wrote" if install else "removed"} {path}')
    if not paths:
        print(f'nothing to do: {"the hook is installed" if install else "no hook"} in {folder}')
    return 0


def _cuda() -> str:
    try:
        import torch
        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    except Exception as error:
        return str(error)
    return 'no device; everything runs on the CPU'
