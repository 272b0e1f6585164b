"""`refinepose check`: what is odd about a json of keypoints, or about a config, before training."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from mmengine.utils import track_iter_progress

from ..deploy.config import TRAIN_DATA, load_config
from ..engine.preflight import problems_of
from ..files import refuse_inputs, replacing, require_folder
from .findings import Finding, annotation_findings
from .inputs import has_part, read_input
from .photos import Look, find_folder, look, photo_findings, split_findings
from .schema import Data
from .sheet import draw
from .symmetry import pairs_of, side_findings
from .trial import duration, measure

FOUND = 1  # exit code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose check`."""
    parser.add_argument('source', help="json of keypoints in COCO's format, an export of "
                        'YOLO-pose (data.yaml), Label Studio (json) or CVAT (xml), or config of a '
                        'run')
    parser.add_argument('--images', help='folder of the photos; default: looked for near the json')
    parser.add_argument('--val', metavar='JSON', help='validation set: checked, and compared with '
                        'the first')
    parser.add_argument('--val-images', help='folder of its photos')
    parser.add_argument('--sides', type=two_words, metavar='LEFT,RIGHT',
                        help='words for left and right in the names of joints, such as '
                        'links,rechts')
    parser.add_argument('--output', metavar='PNG', help='contact sheet; default: NAME_check.png '
                        'in the current folder')


def two_words(text: str) -> tuple[str, str]:
    """Two words with a comma between them, in lower case."""
    words = [word.strip().lower() for word in text.split(',')]
    if len(words) != 2 or not all(words) or words[0] == words[1]:
        raise argparse.ArgumentTypeError(f'expected two words such as links,rechts, got {text!r}')
    return words[0], words[1]


def run(args: argparse.Namespace) -> int:
    """Check, and print what was found.

    Returns:
        0 if nothing is wrong, 1 if something is.

    Raises:
        OSError: If a file or folder is not there, or the sheet cannot be written.
        ValueError: If the source is neither a json of keypoints nor a config.
    """
    if Path(args.source).suffix == '.py':
        given = [name for name in ('images', 'val', 'val_images', 'sides', 'output')
                 if getattr(args, name) is not None]
        if given:
            raise ValueError(f'--{given[0].replace("_", "-")} is for a json, not for a config')
        return check_config(args.source)
    output = Path(f'{Path(args.source).stem}_check.png' if args.output is None else args.output)
    data = read_input(args.source, args.images)
    require_folder(output)
    refuse_inputs(output, [name for name in (args.source, args.val) if name])
    found, looks, folder = check(data, args.images, args.sides)
    report(data, found)
    val_source = args.source if args.val is None and has_part(args.source, 'val') else args.val
    if val_source is not None:
        val = read_input(val_source, args.val_images, 'val')
        val_found, val_looks, _ = check(val, args.val_images, args.sides)
        report(val, val_found)
        across = split_findings(data, val, looks, val_looks)
        print_findings(across)
        found += val_found + across
    sheet = draw(data, folder, pairs_of(data, args.sides)) if folder else None
    if sheet:
        with replacing(output, [folder / data.file_name(index)
                                for index in range(len(data.photos))]) as path:
            sheet.save(path, 'PNG')
        print(f'wrote {output}: the left of a person must be green in both of its pictures')
    return conclusion(found)


def check(data: Data, images: str | None, sides: tuple[str, str] | None
          ) -> tuple[list[Finding], list[Look], Path | None]:
    """Everything about one json: findings, looks at its photos, and their folder.

    Photos that are nowhere are a finding, unless their folder was given.
    """
    found = list(annotation_findings(data))
    if not data.usable.any():  # each may be well by itself, such as a crowd
        found.append(Finding('annotations', 'training can use none of them: it needs a listed '
                             'image, a box and a labelled joint, and no crowd', []))
    looks: list[Look] = []
    folder = None
    try:
        folder = find_folder(data, images)
    except (FileNotFoundError, ValueError) as error:
        if images is not None:
            raise
        found.append(Finding('images', f'not looked at: {error}; name their folder with --images',
                             []))
    else:
        paths = [folder / data.file_name(index) for index in range(len(data.photos))]
        tracked = (track_iter_progress(paths, file=sys.stderr) if sys.stderr.isatty() else paths)
        looks = [look(path) for path in tracked]
        found += photo_findings(data, looks)
    return found + side_findings(data, pairs_of(data, sides)), looks, folder


def report(data: Data, found: list[Finding]) -> None:
    """Print what a json holds, and what was found in it."""
    usable = int(data.usable.sum())
    print(f'{data.path}: {len(data.photos)} images, {len(data.persons)} annotations, '
          f'{len(data.names)} joints; training can use {usable}')
    print_findings(found)


def print_findings(found: list[Finding]) -> None:
    """What is wrong first, marked with an exclamation mark, then what is good to know."""
    for finding in sorted(found, key=lambda finding: finding.note):
        print(f'  {" " if finding.note else "!"} {finding}')


def conclusion(found: list[Finding]) -> int:
    """Print the number of findings, and return the exit code."""
    wrong = sum(not finding.note for finding in found)
    print('nothing is wrong' if not wrong else
          f'{wrong} finding{"s" if wrong > 1 else ""}, marked with !')
    return FOUND if wrong else 0


def check_config(path: str) -> int:
    """Look for what a run would trip over, then take its first steps, and print what it needs.

    Raises:
        FileNotFoundError: If the config does not exist.
        ValueError: If it is no config, or has no training.
    """
    config = load_config(path, TRAIN_DATA, 'optim_wrapper', 'train_cfg')
    found = [Finding('config', problem, []) for problem in problems_of(config)]
    if not found:
        try:
            trial = measure(config)
        except (OSError, ValueError, ArithmeticError, MemoryError) as error:
            found.append(Finding('first steps', str(error).strip().splitlines()[0], []))
    if not found:
        workers = config.train_dataloader.get('num_workers', 0)
        where = 'one GPU' if torch.cuda.is_available() else 'the CPU'
        memory = f'{trial.memory / 1024:.1f} GiB of memory at most' + (
            f', and {trial.gpu_memory / 1024:.1f} GiB on the GPU' if trial.gpu_memory else '')
        print(f'{path}, first steps on {where}:')
        for name, text in (
                ('model', f'{trial.parameters / 1e6:.2f} million parameters'),
                ('step', f'{trial.step:.3g} seconds for {trial.batch} persons, and '
                         f'{trial.load:.3g} to load them in one process; loss {trial.loss:.3g}'),
                ('memory', memory),
                ('epoch', f'{duration(trial.epoch(workers))} for {trial.steps} steps'),
                ('validation', f'{duration(trial.validation)}, {trial.validations} times'),
                ('run', f'{trial.epochs:.4g} epochs: about {duration(trial.run(workers))}')):
            print(f'    {name:<15} {text}')
    print_findings(found)
    return conclusion(found)
