"""ONNX Runtime for browsers: two files of the npm package onnxruntime-web."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path

PACKAGE, VERSION = 'onnxruntime-web', '1.30.0'
SHA512 = 'q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=='
FOLDER = 'onnxruntime'
# Files of the package, and their names here: not every server knows that .mjs is JavaScript.
NEEDED = {'dist/ort.wasm.bundle.min.mjs': 'ort.wasm.bundle.min.js',
          'dist/ort-wasm-simd-threaded.wasm': 'ort-wasm-simd-threaded.wasm'}
HINT = f'; or name the package, as a folder or .tgz file, with --{PACKAGE}'


def copy_runtime(folder: Path, package: str | Path | None = None) -> str:
    """Copy what a page needs of onnxruntime-web.

    Args:
        folder: Of the page.
        package: The npm package as a folder or ``.tgz`` file. Default: npm fetches it, or takes it
            from its own cache.

    Returns:
        Name and version of the package.

    Raises:
        ImportError: If npm is missing or cannot fetch the package.
        FileNotFoundError: If the package is not there, or lacks a file.
        ValueError: If npm's file is not the known one, or a ``.tgz`` file is broken.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source = _fetch(Path(temporary)) if package is None else Path(package)
        files = _read(source, [*NEEDED, 'package.json'])
    name = f'{PACKAGE} {json.loads(files["package.json"])["version"]}'
    target = folder / FOLDER
    target.mkdir()
    for original, ours in NEEDED.items():
        (target / ours).write_bytes(files[original])
    (target / 'README.txt').write_text(
        f'From the npm package {name}: (c) Microsoft Corporation, MIT License.\n', encoding='utf-8')
    return name


def _fetch(folder: Path) -> Path:
    """The package as npm's file."""
    npm = shutil.which('npm')
    if npm is None:
        raise ImportError(f'npm fetches {PACKAGE}, but is not installed{HINT}')
    done = subprocess.run([npm, 'pack', f'{PACKAGE}@{VERSION}', '--prefer-offline', '--silent'],
                          cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    path = folder / f'{PACKAGE}-{VERSION}.tgz'
    if done.returncode or not path.is_file():
        reason = (done.stderr.strip() or f'exit code {done.returncode}').splitlines()[0]
        raise ImportError(f'npm could not fetch {PACKAGE} {VERSION} ({reason}){HINT}')
    if base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode() != SHA512:
        raise ValueError(f'{PACKAGE} {VERSION} as npm fetched it has another SHA-512 than the '
                         f'known one{HINT}')
    return path


def _read(source: Path, names: list[str]) -> dict[str, bytes]:
    """Files of the package."""
    if source.is_dir():
        files = {name: (source / name).read_bytes() for name in names
                 if (source / name).is_file()}
    elif source.is_file():
        try:
            with tarfile.open(source) as archive:
                members = {member.name: member for member in archive if member.isfile()}
                files = {name: archive.extractfile(members[f'package/{name}']).read()
                         for name in names if f'package/{name}' in members}
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise ValueError(f'{source} is not a complete .tgz file: {error}') from None
    else:
        raise FileNotFoundError(f'{source} not found, expected the npm package {PACKAGE}')
    missing = [name for name in names if name not in files]
    if missing:
        raise FileNotFoundError(f'{source} is not the npm package {PACKAGE} {VERSION}: it has no '
                                f'{missing[0]}')
    return files
