"""Packaging. The tested versions of everything else stand in requirements/lock.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'",
                    (ROOT / 'refinepose_mm/version.py').read_text()).group(1)

setup(
    name='refinepose_mm',
    version=VERSION,
    description='RefinePose (Electronics 2022) as a plugin for MMPose',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.9',
    packages=find_packages(include=['refinepose_mm', 'refinepose_mm.*']),
    entry_points=dict(console_scripts=['refinepose = refinepose_mm.cli:main']),
    # OpenMMLab is left out on purpose: mmpose asks for chumpy, which cannot be built any more, so
    # an automatic install of it fails. `make setup` installs the lock file without dependencies.
    install_requires=['torch>=2.1', 'torchvision', 'numpy<2', 'safetensors'],
    extras_require=dict(export=['onnx', 'onnxscript', 'onnxruntime', 'openvino', 'nncf']),
)
