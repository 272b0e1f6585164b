"""How every command writes a file: complete or not at all, and never over what it reads."""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

LEFTOVER = re.compile(r'\.[a-z0-9_]{8}')  # what tempfile appends to a prefix
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, a quota, a limit of the process


def refuse_inputs(output: str | Path, inputs: Iterable[str | Path]) -> None:
    """Refuse an output that is one of the inputs, also through a link or another spelling.

    Raises:
        ValueError: If it is; names both paths.
    """
    output = Path(output)
    for source in map(Path, inputs):
        if source.exists() and output.exists() and os.path.samefile(source, output):
            raise ValueError(f'output {output} is the input {source}; name another output')


def require_folder(output: str | Path) -> None:
    """Check, before work is spent, that a file can be written there.

    Raises:
        FileNotFoundError: If the folder does not exist.
        PermissionError: If the folder refuses new files.
        IsADirectoryError: If the output itself is a folder.
    """
    output = Path(os.path.realpath(output))
    if output.is_dir():
        raise IsADirectoryError(f'output {output} is a folder, expected a file name')
    if not output.parent.is_dir():
        raise FileNotFoundError(f'folder {output.parent} of output {output.name} not found')
    try:  # root may write everywhere, says os.access, but not into /proc
        with tempfile.TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        raise PermissionError(f'folder {output.parent} of output {output.name} is not writable: '
                              f'{error.strerror}') from None


@contextmanager
def replacing(output: str | Path, inputs: Iterable[str | Path] = ()) -> Iterator[Path]:
    """Write beside the output, then replace it in one step.

    The block writes to the yielded path, which has the output's name in a temporary folder beside
    it; further files that it puts there (such as OpenVINO's ``.bin``) go along. The output and
    what stood there before stay untouched if the block raises, the process is killed or the disk
    is full.

    Args:
        output: The file to write.
        inputs: Files that are read meanwhile or before; the output must be none of them.

    Raises:
        ValueError: If the output is an input.
        OSError: If the folder cannot be written to: see :func:`require_folder`.
    """
    refuse_inputs(output, inputs)
    require_folder(output)
    output = Path(os.path.realpath(output))  # a link stays a link
    with named_if_full(output), tempfile.TemporaryDirectory(
            prefix=f'.{output.name}.', dir=output.parent) as folder:
        yield Path(folder) / output.name
        written = sorted(Path(folder).iterdir(), key=lambda path: path.name == output.name)
        for path in written:
            _synchronise(path)
        for path in written:  # the output itself comes last: whoever sees it finds the others
            os.replace(path, output.parent / path.name)
    _synchronise(output.parent)


def remove_leftovers(output: str | Path) -> None:
    """Delete what killed processes left beside an output in :func:`replacing`.

    Args:
        output: A file that no other process writes now.
    """
    output = Path(os.path.realpath(output))
    for path in output.parent.glob(f'.{glob.escape(output.name)}.*'):
        if LEFTOVER.fullmatch(path.name[len(output.name) + 1:]) and path.is_dir():
            shutil.rmtree(path)


@contextmanager
def named_if_full(output: str | Path) -> Iterator[None]:
    """Name the file in the error of a full disk: Python does not, once a file is open.

    Raises:
        OSError: In place of one without a name.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL or error.filename is not None:
            raise
        raise OSError(error.errno, f'not written: {error.strerror}', str(output)) from error


def _synchronise(path: Path) -> None:
    """Wait until the system has a file, or a folder's names, on disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
