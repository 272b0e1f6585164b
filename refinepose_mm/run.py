"""`refinepose run`: MMPose's scripts and modules such as mim, unchanged, with the repairs.

Python itself runs the script, so `__main__`, `sys.path`, tracebacks and exit codes are Python's
own. The repairs come in at its start, and at the start of every Python that the script starts, as
`mim` does: see :mod:`refinepose_mm.startup`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

STARTUP = Path(__file__).parent / 'startup'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose run`: what follows script or module is theirs, --help too."""
    parser.usage = '%(prog)s [-h] SCRIPT.py ...\n       %(prog)s [-h] -m MODULE ...'
    parser.add_argument('words', nargs=argparse.REMAINDER, metavar='SCRIPT.py ...',
                        help='a script and its own arguments')
    parser.add_argument('-m', dest='module', nargs=argparse.REMAINDER, metavar='MODULE ...',
                        help='a module and its own arguments, as for python -m')


def run(args: argparse.Namespace) -> int:
    """Become the Python that runs the script.

    Raises:
        FileNotFoundError: If there is no such script.
        ValueError: If neither script nor module is named.
    """
    if args.module:
        words = ['-m', *args.module]
    elif args.words:
        words = args.words
        if not os.path.exists(words[0]):
            raise FileNotFoundError(f'script {words[0]} not found')
    else:
        raise ValueError('expected a script, or -m and a module')
    folders = [str(STARTUP), *filter(None, [os.environ.get('PYTHONPATH')])]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(folders)}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *words], environment)
