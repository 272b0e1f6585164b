"""`refinepose doctor`: what is installed, what is repaired, what is missing and how to mend it."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import platform
from typing import NamedTuple

LOCK = 'pip install --no-deps -r requirements/lock.txt'
EXPORT = 'pip install "refinepose_mm[export]"'


class Package(NamedTuple):
    """A distribution to look for: the version that was tested and how to install it.

    `module` is one whose import uses all that breaks: compiled parts and other packages.
    """

    name: str
    module: str
    tested: str | None
    command: str
    required: bool = True


PACKAGES = [
    Package('torch', 'torch', '2.13.0', 'pip install -r requirements/torch.txt'),
    Package('torchvision', 'torchvision', '0.28.0', 'pip install -r requirements/torch.txt'),
    Package('numpy', 'numpy', '1.26.4', LOCK),
    Package('opencv-python-headless', 'cv2', '4.11.0.86', LOCK),
    Package('mmengine', 'mmengine', '0.10.7', LOCK),
    Package('mmcv-lite', 'mmcv.ops', '2.1.0', LOCK),
    Package('mmpose', 'mmpose.apis', '1.3.2', LOCK),
    Package('xtcocotools', 'xtcocotools.mask', '1.14.3', LOCK),
    Package('openmim', 'mim', '0.3.9', LOCK),
    Package('setuptools', 'pkg_resources', '80.8.0', LOCK),
    Package('mmdet', 'mmdet.apis', '3.3.0', LOCK, required=False),
    Package('safetensors', 'safetensors', '0.6.2', LOCK, required=False),
    Package('onnxruntime', 'onnxruntime', None, EXPORT, required=False),
    Package('openvino', 'openvino', None, EXPORT, required=False),
]
# Either distribution provides the module.
ALTERNATIVES = {'opencv-python-headless': 'opencv-python', 'mmcv-lite': 'mmcv'}


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
        return '-', f'{kind}: {package.command}', not package.required
    try:
        importlib.import_module(package.module)
    except Exception as error:  # whatever a broken package raises, the doctor goes on
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
        return version, f'does not import: {reason}; try: {package.command}', False
    if package.tested and version.split('+')[0] != package.tested:
        return version, f'tested with {package.tested}', True
    return version, '' if name == package.name else f'{name} in place of {package.name}', True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The doctor takes no arguments."""


def run(args: argparse.Namespace) -> int:
    """Print the examination.

    Returns:
        0 if RefinePose can run, 1 if something required is missing or broken.
    """
    # Before anything that takes seconds, or may be broken.
    print(f'Python {platform.python_version()} on {platform.platform()}\n', flush=True)
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
    print(f'\nCUDA: {_cuda()}')
    print('RefinePose can run.' if healthy else 'RefinePose cannot run: see the lines with !!.')
    return 0 if healthy else 1


def _cuda() -> str:
    try:
        import torch
        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    except Exception as error:
        return str(error)
    return 'no device; everything runs on the CPU'
