"""The `refinepose` command: one module for each subcommand, imported only when it is chosen.

Exit codes: 0, done; 1, done, but something was not well, which the output names; 2, not done, for
the reason in the last line.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from .version import __version__

COMMANDS = {  # name: (module, summary)
    'check': ('own_data.check', 'say what is odd about a json of keypoints, or about a config'),
    'new': ('own_data.new', 'write a project for a json of keypoints: joints, config, commands'),
    'predict': ('deploy.predict', 'find and draw the persons on photos, videos and streams'),
    'train': ('train', 'check a config and train it, on as many devices as you say'),
    'test': ('deploy.evaluate', 'evaluate a checkpoint or an exported model'),
    'calibrate': ('deploy.calibrate', 'turn the scores of a model or file into probabilities'),
    'report': ('report.command', 'show on one page what a model does on its test data'),
    'export': ('deploy.export', 'write a model for ONNX, OpenVINO, torch.export or the browser'),
    'quantize': ('deploy.quantize', 'turn an OpenVINO file into 8-bit integers'),
    'weights': ('weights', 'read a pretrained encoder and report on every key'),
    'transplant': ('transplant', 'make a RefinePose of a trained ViTPose, without labels'),
    'complexity': ('complexity', 'count parameters and multiply-accumulates'),
    'benchmark': ('benchmark.command', 'time RefinePose against ViTPose'),
    'toy': ('datasets.toy_people', 'draw toy people in COCO format'),
    'demo': ('demo', 'draw toy people, train on them, test and infer: a first look in minutes'),
    'run': ('run', "run a script of MMPose's, or a module such as mim, with the repairs"),
    'doctor': ('doctor', 'say what is installed, repaired and missing'),
}
NOT_DONE = 2
# Rounds that a waiting thread of torch (libgomp) spins before it sleeps. The default costs time
# beside other work; this one costs none alone (docs/speed.md).
SPINS = '1000'
USER_ERRORS = (OSError, ValueError, ImportError, FloatingPointError)  # written for people


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        argv: The words after the command's name; default: those of this process.

    Returns:
        The exit code.
    """
    if 'OMP_WAIT_POLICY' not in os.environ:
        os.environ.setdefault('GOMP_SPINCOUNT', SPINS)  # read when torch is imported
    argv = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in argv if word in COMMANDS), None)
    ours = argv.index('run') if chosen == 'run' else len(argv)  # the rest is the script's
    debug = '--debug' in argv[:ours]
    argv = [word for word in argv[:ours] if word != '--debug'] + argv[ours:]
    parser = argparse.ArgumentParser(
        prog='refinepose', description='RefinePose for MMPose.',
        epilog='--debug, anywhere, shows the traceback of an error.')
    parser.add_argument('--version', action='version', version=__version__)
    subparsers = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    try:
        with _termination_as_exit():
            for name, (module, summary) in COMMANDS.items():
                subparser = subparsers.add_parser(name, help=summary, description=summary)
                if name == chosen:
                    command = _import(module)
                    command.add_arguments(subparser)
            args = parser.parse_args(argv)
            return command.run(args)
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        print(f'refinepose {chosen}: interrupted', file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as error:
        if debug:
            raise
        print(f'refinepose {chosen}: {_explain(error)}', file=sys.stderr)
        return NOT_DONE


def _import(module: str) -> ModuleType:
    """The module of a command; a broken installation is for the doctor to explain."""
    try:
        return importlib.import_module(f'.{module}', __package__)
    except Exception as error:  # a broken package raises what it likes
        hint = '`refinepose doctor` says what is missing'
        message = str(error).strip() or type(error).__name__
        raise ImportError(message if hint in message else f'{message}; {hint}') from error


def _explain(error: Exception) -> str:
    """One line for people; errors that nobody foresaw say so."""
    lines = str(error).strip().splitlines() or ['']
    if isinstance(error, MemoryError) or 'allocate' in lines[0]:  # torch's are RuntimeErrors
        return f'not enough memory: {lines[0]}'
    if isinstance(error, USER_ERRORS) and lines[0]:
        return lines[0] if len(lines) == 1 else f'{lines[0]} ... {lines[-1]}'
    return f'{type(error).__name__}: {lines[0]} (unexpected; --debug shows where)'


@contextmanager
def _termination_as_exit() -> Iterator[None]:
    """SIGTERM ends the command as an exception does, so that what was found is still written."""

    def leave(number: int, frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
