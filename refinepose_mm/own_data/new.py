"""`refinepose new`: from a json of keypoints to a folder that `refinepose train` takes."""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from ..files import named_if_full, require_folder
from ..models.shortcut_vit import ARCHS
from ..weights.conversion import EXPERTS
from ..weights.source import Source
from . import project
from .check import two_words
from .findings import annotation_findings, original
from .initial import arch_of, encoder_config, is_vitpose, is_whole, open_source, transplant
from .inputs import has_part, read_input
from .photos import find_folder
from .recipe import (
    WHOLE_RATE,
    Row,
    Schedule,
    affordable_epochs,
    choose,
    input_size,
    most_epochs,
    nearest,
    schedule,
    usual_epochs,
)
from .schema import Data, joint_lists
from .sigmas import sigmas
from .symmetry import pairs_of
from .trial import Trial, duration, measure

SEED = 0  # of the split


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose new`."""
    parser.add_argument('source', help="json of keypoints in COCO's format, or an export of "
                        'YOLO-pose (data.yaml), Label Studio (json) or CVAT (xml)')
    validation = parser.add_mutually_exclusive_group()
    validation.add_argument('--val', metavar='JSON', help='validation set; default: '
                            'that of a data.yaml')
    validation.add_argument('--split', type=float, metavar='SHARE',
                            help='share of the photos to validate on, such as 0.2')
    parser.add_argument('--output', required=True, metavar='FOLDER', help='the project; a new '
                        'folder')
    parser.add_argument('--images', help='folder of the photos; default: looked for near the json')
    parser.add_argument('--val-images', help='folder of the photos of --val')
    parser.add_argument('--sides', type=two_words, metavar='LEFT,RIGHT',
                        help='words for left and right in the names of joints, such as '
                        'links,rechts')
    parser.add_argument('--arch', default='auto', choices=('auto', *ARCHS),
                        help='size of the encoder; default: small on a GPU, a narrow one without, '
                        'or that of --from')
    parser.add_argument('--from', dest='weights', metavar='WEIGHTS', help='start from an encoder '
                        'of any format that `refinepose weights` knows, or from a RefinePose')
    parser.add_argument('--num-heads', type=int, metavar='N', help='attention heads of --from, '
                        'where the file does not show them')
    parser.add_argument('--expert', choices=EXPERTS, help='of a ViTPose++ in --from')
    parser.add_argument('--budget', type=float, metavar='MINUTES', help='how long training may '
                        'take on this machine; decides the epochs')


def run(args: argparse.Namespace) -> int:
    """Write the project.

    Raises:
        OSError: If a file is not there, or the folder cannot be made.
        ValueError: If the data cannot be learned, or an argument does not fit it.
    """
    output = Path(args.output)
    if output.exists():
        raise FileExistsError(f'{output} exists; name a new folder')
    require_folder(output)
    if args.budget is not None and not 0 < args.budget < math.inf:
        raise ValueError(f'--budget must be above 0 minutes, got {args.budget:g}')
    if args.split is not None and not 0 < args.split < 1:
        raise ValueError(f'--split must be a share between 0 and 1, got {args.split:g}')
    val_source = args.val
    if val_source is None and args.split is None:
        if not has_part(args.source, 'val'):
            raise ValueError('--val or --split is needed: what to validate on')
        val_source = args.source
    data = learnable(read_input(args.source, args.images))
    photos = find_folder(data, args.images)
    if val_source is not None:
        val = learnable(read_input(val_source, args.val_images, 'val'))
        if val.names != data.names:
            raise ValueError(f'{val_source} has the joints {_short(val.names)}, {args.source} '
                             f'{_short(data.names)}; they must be the same')
        parts = [(data, photos, np.ones(len(data.photos), bool)),
                 (val, find_folder(val, args.val_images), np.ones(len(val.photos), bool))]
    else:
        held_out = split(data, args.split)
        parts = [(data, photos, ~held_out), (data, photos, held_out)]
    source = open_source(args.weights, args.num_heads, args.expert) if (
        args.weights is not None) else None
    row = _row(args.arch, source)
    with named_if_full(output), tempfile.TemporaryDirectory(
            prefix=f'.{output.name}.', dir=output.resolve().parent) as parent:
        folder = Path(parent) / output.name
        folder.mkdir()
        lines = write(folder, parts, row, source, args.sides, args.budget)
        os.rename(folder, output)
    for line in lines:
        print(line)
    print(f'wrote {output}; {output / "README.md"} has the next commands')
    return 0


def learnable(data: Data) -> Data:
    """The data, if one model can learn it.

    Raises:
        ValueError: If it cannot; says why.
    """
    lists = joint_lists(data.categories)
    if len(lists) > 1:
        kinds = '; '.join(f'{", ".join(names)} ({len(joints)})' for joints, names in lists.items())
        raise ValueError(f'{data.path}: categories have different joints, and one model learns one '
                         f'list of joints: {kinds}. Write a json for each')
    if not data.named:
        raise ValueError(f'{data.path}: no category names its joints; add "keypoints": [names] to '
                         f'categories, {len(data.names)} of them')
    twice = sorted({name for name in data.names if data.names.count(name) > 1})
    if twice:
        raise ValueError(f'{data.path}: joints share a name: {_short(twice)}')
    if not data.usable.any():
        raise ValueError(f'{data.path}: none of {len(data.persons)} annotations has an image that '
                         'is listed, a box and a labelled joint; `refinepose check` says more')
    return data


def split(data: Data, share: float) -> np.ndarray:
    """(P,), which photos are held out: a share of those with usable persons, at random.

    Versions of one photo, as Roboflow exports them, stay together.

    Raises:
        ValueError: If nothing would be left on one side.
    """
    used = sorted({original(data.file_name(int(photo))) for photo in data.photo_of[data.usable]})
    count = round(share * len(used))
    if not 0 < count < len(used):
        raise ValueError(f'--split must leave photos on both sides, got {share:g} of {len(used)}')
    chosen = set(np.random.default_rng(SEED).permutation(used)[:count].tolist())
    return np.array([original(data.file_name(photo)) in chosen
                     for photo in range(len(data.photos))], bool)


def write(folder: Path, parts: list[tuple[Data, Path, np.ndarray]], row: Row,
          source: Source | None, sides: tuple[str, str] | None, budget: float | None) -> list[str]:
    """Write all files of the project.

    Args:
        folder: An empty one.
        parts: Training and validation: data, folder of the photos, and which photos.
        row: How the model is trained.
        source: What it starts from.
        sides: Further words for left and right.
        budget: Of the training, in minutes.

    Returns:
        What people should know.

    Raises:
        OSError: If a photo cannot be read.
        ValueError: If the first steps fail.
    """
    data = parts[0][0]
    counts = []
    for name, (part, photos, chosen) in zip(('train', 'val'), parts):
        content = project.persons_json(part, photos, chosen)
        (folder / f'{name}.json').write_text(json.dumps(content))
        counts.append(sum(not person['iscrowd'] for person in content['annotations']))
    pairs = pairs_of(data, sides)
    tolerances = sigmas(data, pairs)
    (folder / 'metainfo.py').write_text(project.metainfo(data, pairs, tolerances),
                                        encoding='utf-8')
    size = input_size(data, row.pixels)
    steps = -(-counts[0] // row.batch)
    workers = min(8, os.cpu_count() or 1) if torch.cuda.is_available() else 1

    def config(plan: Schedule, init_cfg: Any, load_from: str) -> Config:
        text = project.config(
            data, counts[0], (parts[0][1].resolve(), parts[1][1].resolve()), row, size, plan,
            workers, bool(pairs.pairs), init_cfg, load_from,
            (source and whole and source.shortcut) or 'identity')
        (folder / 'config.py').write_text(text, encoding='utf-8')
        return Config.fromfile(folder / 'config.py')

    whole = source is not None and is_whole(source)
    most = most_epochs(steps, whole)
    plan = schedule(usual_epochs(row, steps, most), steps)
    start = 'from scratch'
    init_cfg: Any = None
    load_from = 'None'
    if source and whole:
        init_cfg, load_from = [], "f'{folder}/initial.pth'"  # []: nothing to load before that
        init_default_scope('mmpose')
        MMLogger.get_current_instance().setLevel('WARNING')  # not of each tensor
        start = transplant(MODELS.build(config(plan, [], 'None').model), data.names, source,
                           folder / 'initial.pth')
    elif source:
        init_cfg = encoder_config(source)
        start = f'from the encoder of {source.name}; the head is new'
    trial = measure(config(plan, init_cfg, load_from))
    if budget:
        plan = schedule(affordable_epochs(60 * budget, trial.epoch(workers),
                                          trial.validation, most), steps)
        config(plan, init_cfg, load_from)
    for leftover in folder.glob('__pycache__'):
        shutil.rmtree(leftover)
    seconds = expected(trial, plan, workers)
    plural = 's' if plan.epochs > 1 else ''
    expectation = f'{plan.epochs} epoch{plural}, about {duration(seconds)} on this machine'
    remark = (' No names of joints say left and right, so photos are not flipped.'
              if not pairs.pairs else '')
    (folder / 'README.md').write_text(
        project.readme(data, (counts[0], counts[1]), plan.epochs, expectation, remark),
        encoding='utf-8')
    wrong = [finding for finding in annotation_findings(data) if not finding.note]
    lines = [f'{counts[0]} persons to learn from, {counts[1]} to validate on; {len(data.names)} '
             f'joints, {len(pairs.pairs)} pairs of left and right by name',
             f'input {size[0]}x{size[1]}, {trial.parameters / 1e6:.2f} million parameters; {start}',
             f'sigmas {tolerances.origin}', expectation]
    if source and is_vitpose(source):
        lines.append('the stem is new, and this encoder does not know its tokens: `refinepose '
                     'transplant` first teaches it, and few persons are learned better then')
    if budget and seconds > 60 * budget:
        lines.append(f'more than the budget of {budget:g} minutes: one epoch takes that long')
    if wrong:
        lines.append(f'`refinepose check {data.path}` has {len(wrong)} '
                     f'finding{"s" if len(wrong) > 1 else ""}')
    return lines


def expected(trial: Trial, plan: Schedule, workers: int) -> float:
    """Seconds of a run by a plan."""
    validations = -(-plan.epochs // plan.interval)
    return plan.epochs * trial.epoch(workers) + validations * trial.validation


def _row(arch: str, source: Source | None) -> Row:
    """How the model is trained.

    Raises:
        ValueError: If the source has another arch than the one asked for.
    """
    if source is None:
        return choose(arch, torch.cuda.is_available())
    found = arch_of(source)
    if arch != 'auto' and ARCHS[arch] != found:
        raise ValueError(f'{source.name} has {found}, --arch {arch} is {ARCHS[arch]}; leave '
                         '--arch out')
    row = nearest(found.embed_dims, found.num_layers)
    return row._replace(arch=found.as_config(),
                        lr=row.lr * (WHOLE_RATE if is_whole(source) else 1))


def _short(names: list[str]) -> str:
    return ', '.join(names[:3]) + (', ...' if names[3:] else '')
