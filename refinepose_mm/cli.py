"""The `refinepose` command: one module per subcommand, imported only when it is called."""

from __future__ import annotations

import argparse
import importlib
import sys

from .version import __version__

COMMANDS = {
    'demo': ('demo', 'draw toy people, train on them, test and infer: a first look in minutes'),
    'toy': ('datasets.toy_people', 'draw toy people in COCO format'),
    'doctor': ('doctor', 'say what is installed, repaired and missing'),
    'complexity': ('complexity', 'count parameters and multiply-accumulates'),
    'benchmark': ('benchmark', 'time RefinePose against ViTPose'),
    'predict': ('deploy.predict', 'find and draw the persons on photos and videos'),
    'export': ('deploy.export', 'write a model as an ONNX, OpenVINO or torch.export file'),
    'test': ('deploy.evaluate', 'evaluate an exported model, as `mim test` does a checkpoint'),
    'quantize': ('deploy.quantize', 'turn an OpenVINO file into 8-bit integers'),
    'weights': ('weights', 'read a pretrained encoder and report on every key'),
}
USER_ERRORS = (OSError, ValueError, ImportError)


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand.

    Returns:
        The exit code; 2 for errors that the user can mend, which end in one line.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog='refinepose', description='RefinePose for MMPose.')
    parser.add_argument('--version', action='version', version=__version__)
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    subparsers = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    # Only the module of the chosen command is imported: most of them need all of MMPose, and the
    # doctor must work where that does not import.
    chosen = next((word for word in argv if word in COMMANDS), None)
    for name, (module, summary) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if name == chosen:
            try:
                command = importlib.import_module(f'.{module}', __package__)
            except Exception as error:  # a broken package raises what it likes
                if '--debug' in argv:
                    raise
                print(f'refinepose: {error}; `refinepose doctor` says what is missing',
                      file=sys.stderr)
                return 2
            command.add_arguments(subparser)
    args = parser.parse_args(argv)
    try:
        return command.run(args)
    except USER_ERRORS as error:
        if args.debug:
            raise
        print(f'refinepose {args.command}: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
