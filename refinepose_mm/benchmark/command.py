"""`refinepose benchmark`: RefinePose against ViTPose, in one process and on the same threads.

A timing alone says little on a shared machine: what is compared runs in turns (A, B, A, B),
and medians are taken over the rounds. Each figure is read as a ratio to the first. The machine's
own rate of products tells how much of the hardware each model uses.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Callable

import torch

from ..complexity import count
from ..deploy.config import usable_device
from ..deploy.formats import TARGETS, require
from ..deploy.quantize import PACKAGES as QUANTIZE_PACKAGES
from ..engine import keep_memory
from ..files import replacing, require_folder
from ..models.shortcut_vit import ARCHS
from . import against, report
from .case import DTYPES, ENGINES, MODEL_TASKS, PEERS, PRECISIONS, Case, variants
from .engines import prepare
from .measure import compare, machine, peak_memory, product_rates
from .tasks import make_decoders


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose benchmark`."""
    parser.add_argument('--arch', default='base', choices=ARCHS)
    parser.add_argument('--img-size', nargs='+', type=_size, default=[(256, 192)], metavar='HxW',
                        help='input sizes in pixels; default: 256x192')
    parser.add_argument('--batch', nargs='+', type=_count, default=[1, 8], help='persons at a time')
    parser.add_argument(
        '--task', nargs='+', choices=(*MODEL_TASKS, 'decode'), default=['forward'],
        help='forward: heatmaps; predict: with flip test and decoding; train: a whole step, with '
        'its peak memory; scene: a photo with that many persons, in single precision, from boxes '
        'to keypoints, eager by inference_topdown, else by BatchPredictor; decode: heatmaps to '
        'keypoints, beside MMPose\'s codec')
    models = list(variants('tiny', (64, 48)))
    parser.add_argument('--model', nargs='+', choices=models, default=models[len(PEERS):],
                        help=f'{", ".join(models)}; the first of these that is chosen is what '
                        'ratios refer to; default: all but MMPose\'s, which need mmpretrain')
    parser.add_argument('--dtype', nargs='+', choices=DTYPES, default=['fp32'])
    parser.add_argument('--engine', nargs='+', choices=ENGINES, default=['eager', 'deploy'],
                        help='eager; deploy: after deploy(); or the engine of an exported file')
    parser.add_argument('--rounds', type=_count, default=10, help='timed rounds; median is taken')
    parser.add_argument('--threads', type=_count, help='CPU threads; default: torch\'s own choice')
    parser.add_argument('--keep-memory', action='store_true',
                        help='as KeepMemoryHook does in trainings on CPUs, for all models alike')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--output', type=Path, help='write all timings to this json file')
    parser.add_argument('--against', type=Path, metavar='JSON', help='an earlier --output: compare '
                        'the ratios, and say what became faster or slower')
    parser.add_argument('--plot', type=Path, help='draw growth with the batch into this picture')


def run(args: argparse.Namespace) -> int:
    """Print a Markdown table for every task, input size, batch size and precision."""
    for path in filter(None, (args.output, args.plot)):
        require_folder(path)
    if args.plot:
        report.require_picture(args.plot)
    before = against.read(args.against) if args.against else None
    for engine in args.engine:
        format_name, precision = PRECISIONS.get(engine, (engine, 'f32'))
        if format_name in TARGETS:
            require(QUANTIZE_PACKAGES if precision == 'int8' else TARGETS[format_name].packages)
    if set(PEERS) & set(args.model):
        _import_mmpretrain()
    if args.keep_memory and not keep_memory():
        raise ValueError('--keep-memory needs glibc')
    if args.threads:
        torch.set_num_threads(args.threads)
    device = usable_device(args.device)
    where = dict(machine(device), keep_memory=args.keep_memory)
    print(', '.join(f'{key} {value}' for key, value in where.items()))
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for dtype, img_size in itertools.product(args.dtype, args.img_size):
            rates = product_rates(device, DTYPES[dtype])
            print(f'\n{dtype}: {report.rates(rates)}')
            for task, batch in itertools.product(args.task, args.batch):
                result = dict(task=task, batch=batch, img_size=img_size, dtype=dtype,
                              rates=rates)
                result.update(_measure(args, result, device, Path(folder)))
                results.append(result)
                print(f'\n{task}, {img_size[0]}x{img_size[1]}, batch {batch}, {dtype}, '
                      f'{args.rounds} rounds\n\n{report.table(result)}', flush=True)
    measured = dict(machine=where, arch=args.arch, results=results)
    if before:
        print(f'\n{against.compare(before, measured)}')
    if args.output:
        with replacing(args.output, [args.against] if args.against else []) as path:
            path.write_text(json.dumps(measured, indent=1))
        print(f'\nwrote {args.output}')
    if args.plot:
        with replacing(args.plot) as path:
            report.draw(results).savefig(path, dpi=120)
        print(f'wrote {args.plot}')
    return 0


def _measure(args: argparse.Namespace, what: dict, device: torch.device, folder: Path) -> dict:
    """Timings of one task, and what goes with them."""
    task, batch, img_size, dtype = (what[key] for key in ('task', 'batch', 'img_size', 'dtype'))
    if task == 'decode':
        return dict(seconds=compare(make_decoders(batch, img_size, device), args.rounds, device))
    # In the order of `variants`: the first is what ratios refer to.
    models = [model for model in variants(args.arch, img_size) if model in args.model]
    cases, functions = {}, {}
    for engine, model in itertools.product(args.engine, models):
        case = Case(model, engine, task, args.arch, img_size, batch, dtype, device, folder)
        function = prepare(case)
        if function:
            cases[case.title], functions[case.title] = case, function
    measured = dict(seconds=compare(functions, args.rounds, device))
    if task == 'forward':
        macs = {model: count(variants(args.arch, img_size)[model], img_size)[1]
                for model in models}
        measured['share'] = {
            title: macs[cases[title].model] * batch / statistics.median(times)
            / max(what['rates'].values()) for title, times in measured['seconds'].items()
            if cases[title].engine not in PRECISIONS}  # these multiply in another precision
    if task in ('train', 'scene'):
        del functions  # their memory is not to be counted
        measured['peak_mib'] = {
            title: peak_memory(partial(_prepare_alone, case, args.keep_memory), device)
            for title, case in cases.items()}
    return measured


def _prepare_alone(case: Case, keep: bool) -> Callable[[], object] | None:
    """The case's function in a process of its own, to measure its memory there."""
    if keep:
        keep_memory()
    return prepare(case)


def _import_mmpretrain() -> None:
    """MMPose's ViTPose stands on a package that MMPose does not install."""
    try:
        importlib.import_module('mmpretrain')
    except ImportError as error:
        raise ImportError(f'{" and ".join(PEERS)} need mmpretrain ({error}): '
                          'pip install --no-deps mmpretrain==1.2.0 einops') from None


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f'expected a number from 1, got {text}')
    return number


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = map(int, text.split('x'))
    except ValueError:
        raise argparse.ArgumentTypeError(f'expected HxW such as 256x192, got {text}') from None
    return height, width
