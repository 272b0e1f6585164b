"""The hook that lets MMPose's scripts run unchanged: two small files in site-packages.

`refinepose doctor --install-hook` writes them and `--remove-hook` removes them. Python executes
the ``.pth`` file at every start; what it imports is `startup/_refinepose_mm_hook.py`.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

from .files import replacing

NAME = '_refinepose_mm_hook'
SOURCE = Path(__file__).parent / f'startup/{NAME}.py'


def contents() -> dict[str, str]:
    """The files of the hook: name -> text. The module comes first, the .pth file needs it."""
    return {f'{NAME}.py': SOURCE.read_text(encoding='utf-8'), f'{NAME}.pth': f'import {NAME}\n'}


def site_packages() -> Path:
    """The folder of the running Python where packages are installed."""
    return Path(sysconfig.get_path('purelib'))


def hook_files(folder: Path) -> list[Path]:
    """The files of the hook that stand in a folder."""
    return [path for name in contents() if (path := folder / name).is_file()]


def install_hook(folder: Path) -> list[Path]:
    """Write the hook into a folder for packages; doing it again changes nothing.

    Returns:
        The files that were written; none if they were there, equal.

    Raises:
        PermissionError: If the folder is not writable; says what works without it.
    """
    written = []
    for name, text in contents().items():
        path = folder / name
        if path.is_file() and path.read_text(encoding='utf-8') == text:
            continue
        try:
            with replacing(path) as temporary:
                temporary.write_text(text, encoding='utf-8')
        except OSError as error:
            raise _refusal(folder, error) from error
        written.append(path)
    return written


def remove_hook(folder: Path) -> list[Path]:
    """Remove the hook from a folder for packages.

    Returns:
        The files that were removed; none if there was no hook.

    Raises:
        PermissionError: If the folder is not writable.
    """
    removed = []
    for path in reversed(hook_files(folder)):  # the .pth file first, it needs the module
        try:
            path.unlink()
        except OSError as error:
            raise _refusal(folder, error) from error
        removed.append(path)
    return removed


def _refusal(folder: Path, error: OSError) -> PermissionError:
    return PermissionError(
        f'cannot write to {folder} ({error.strerror or error}): use a virtual environment, or '
        '`refinepose run SCRIPT.py`, which needs no hook')
