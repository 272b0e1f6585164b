"""Packaging; the metadata stand in pyproject.toml. Here: what `mim` looks for in the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# `mim search`, `mim train` and `mim test` read these in the folder `.mim` of an installed package.
FOR_MIM = ('configs', 'projects/ablations', 'tools', 'model-index.yml')


class BuildWithMim(build_py):
    """Puts the files for mim into the wheel; an editable installation has none."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, 'refinepose_mm/.mim')
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build
        for name in FOR_MIM:
            source = Path(__file__).parent / name
            if source.is_dir():
                shutil.copytree(source, target / name,
                                ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy(source, target / name)


setup(cmdclass=dict(build_py=BuildWithMim))
