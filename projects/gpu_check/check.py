"""Try on a GPU what was written without one: tests, training, several cards, memory and speed.

    make wheels                                                  # where there is a package index
    python projects/gpu_check/check.py --wheels build/wheels --output gpu_check    # on the machine

It needs Python and torch, no index and no data. It goes on where a step fails, and
writes OUTPUT/report.json and OUTPUT/report.md; each step has a log beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TOY = 'configs/refinepose_tiny_toy.py'
LEAST_AP = .5  # of the toy training below; in single precision on CPUs `make demo` ends at .65
TESTS = ('tests/test_precision.py', 'tests/engine/test_finite_loss.py',
         'tests/deploy/test_variants.py', 'tests/deploy/test_predictor.py', 'tests/codecs')
Results = dict[str, object]


class Step(NamedTuple):
    """A command, and what is read of its outputs.

    Attributes:
        name: Of the step and its log.
        command: Words after the Python of the environment.
        seconds: What it may take.
        read: The results; ValueError if they are not as they should be.
    """

    name: str
    command: list[str]
    seconds: int
    read: Callable[[], Results]


def prepare(folder: Path, wheels: Path | None) -> Path:
    """The Python to run with: this one, or that of a new environment over it with the wheels.

    Raises:
        OSError: If the wheels cannot be installed.
    """
    if wheels is None:
        return Path(sys.executable)
    packages = sorted(map(str, wheels.glob('*.whl')))
    if not packages:
        raise FileNotFoundError(f'no wheels in {wheels}; `make wheels` writes them')
    python = folder / 'bin/python'
    install = [python, '-m', 'pip', 'install', '--no-index', '--no-deps', '-q']
    for command in ([sys.executable, ROOT / 'requirements/layer.py', folder],
                    [*install, *packages],
                    [*install, '--no-build-isolation', '-e', ROOT]):
        if subprocess.run(list(map(str, command))).returncode:
            raise OSError(f'setting up {folder} failed, see above')
    return python


def plan(output: Path, device: str, cards: int, arch: str, batches: list[int],
         images: int) -> list[Step]:
    """The steps, in their order.

    Args:
        output: Folder of their outputs.
        device: 'cuda', or 'cpu' to try this script itself.
        cards: GPUs of the machine.
        arch: Of the benchmarks.
        batches: Of the benchmarks.
        images: Toy people to learn from.
    """
    data, reports = output / 'toy', output / 'tests.xml'
    gpus = min(1, cards)
    # MMEngine's own optimizer wrapper is for GPUs.
    wrappers = {'fp16': ['optim_wrapper.type=AmpOptimWrapper', 'optim_wrapper.dtype=float16'],
                'bf16': ['optim_wrapper.type=AmpOptimWrapper', 'optim_wrapper.dtype=bfloat16']
                } if cards else {'bf16': ['optim_wrapper.type=BFloat16OptimWrapper']}

    def train(name: str, options: list[str], least: float = 0., gpus: int = gpus,
              words: list[str] = []) -> Step:
        folder = output / name
        return Step(name, ['-m', 'mim', 'train', 'mmpose', TOY, '--gpus', str(gpus), '--work-dir',
                           str(folder), *words, '--cfg-options', *options], 240,
                    lambda: read_training(folder, least))

    def benchmark(name: str, *words: str) -> Step:
        file = output / f'{name}.json'
        sizes = ['--arch', arch, '--batch', *map(str, batches), '--device', device]
        return Step(name, ['-m', 'refinepose_mm', 'benchmark', *sizes, '--rounds', '5', '--output',
                           str(file), *words], 180, lambda: read_benchmark(file))

    one_epoch = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
    steps = [
        Step('tests', ['-m', 'pytest', '-q', '--junitxml', str(reports), *TESTS], 240,
             lambda: read_tests(reports)),
        Step('toy', ['-m', 'refinepose_mm', 'toy', '--output', str(data), '--train', str(images),
                     '--val', '100'], 120, dict),
        *(train(f'train_{name}', options, LEAST_AP if cards else 0.)
          for name, options in wrappers.items()),
        train('train_compiled', [*one_epoch, 'compile=True'])]
    if cards:
        steps.append(train('train_distributed', one_epoch, gpus=cards,
                           words=['--launcher', 'pytorch']))
    return [
        *steps,
        benchmark('training', '--task', 'train', '--dtype', 'fp32', 'bf16', '--engine', 'eager',
                  '--model', 'ViTPose', 'RefinePose', 'RefinePose no recompute'),
        benchmark('inference', '--task', 'forward', 'predict', 'decode', '--dtype', 'fp32', 'bf16',
                  '--model', 'ViTPose', 'RefinePose')]


def read_tests(path: Path) -> Results:
    """Numbers of tests by outcome, and the reasons of skips."""
    suite = next(ElementTree.parse(path).iter('testsuite'))
    counts = {name: int(suite.get(name, 0)) for name in ('tests', 'failures', 'errors', 'skipped')}
    reasons = sorted({skip.get('message', '') for skip in suite.iter('skipped')})
    return dict(counts, reasons=reasons)


def read_training(folder: Path, least: float) -> Results:
    """The last AP, and the median time of a step.

    Raises:
        ValueError: If the AP is too low.
    """
    files = sorted(folder.glob('*/vis_data/scalars.json'))
    if not files:
        raise ValueError(f'no log in {folder}')
    lines = [json.loads(line) for line in files[-1].read_text().splitlines()]
    scores = [line['coco/AP'] for line in lines if 'coco/AP' in line]
    times = sorted(line['time'] for line in lines if 'loss' in line)
    if not scores or scores[-1] < least:
        raise ValueError(f'AP must reach {least}, got {scores[-1] if scores else "none"}')
    return {'AP': scores[-1], 'seconds per step': times[len(times) // 2]}


def read_benchmark(path: Path) -> Results:
    """Medians in ms per person, and peak memory, by task, precision, batch and model."""
    table = {}
    for result in json.loads(path.read_text())['results']:
        for title, seconds in result['seconds'].items():
            what = f'{result["task"]} {result["dtype"]} {result["batch"]} {title}'
            table[f'{what}, ms'] = 1e3 * sorted(seconds)[len(seconds) // 2] / result['batch']
            if 'peak_mib' in result:
                table[f'{what}, MiB'] = result['peak_mib'][title]
    return table


def run(step: Step, python: Path, output: Path) -> Results:
    """Take a step; its outcome, its time, and what was read."""
    started, log = time.time(), output / f'{step.name}.txt'
    environment = dict(os.environ, TOY_ROOT=str(output / 'toy'),
                       PATH=f'{python.parent}{os.pathsep}{os.environ["PATH"]}')
    try:
        with log.open('w') as file:
            code = subprocess.run([python, *step.command], cwd=ROOT, env=environment, stdout=file,
                                  stderr=subprocess.STDOUT, timeout=step.seconds).returncode
        outcome = 'ok' if code == 0 else f'exit code {code}, see {log.name}'
    except subprocess.TimeoutExpired:
        outcome = f'not done after {step.seconds} s, see {log.name}'
    try:
        found = step.read()
    except (OSError, ValueError, LookupError) as error:
        found, outcome = {}, outcome if outcome != 'ok' else str(error)
    return dict(outcome=outcome, seconds=round(time.time() - started), **found)


def to_markdown(machine: Results, steps: dict[str, Results]) -> str:
    """The report as tables."""
    lines = ['# Check on a machine', '', ', '.join(f'{key} {value}' for key, value in
                                                   machine.items()), '',
             '| step | outcome | s |', '|---|---|---|']
    lines += [f'| {name} | {found["outcome"]} | {found["seconds"]} |'
              for name, found in steps.items()]
    for name, found in steps.items():
        rows = {key: value for key, value in found.items() if key not in ('outcome', 'seconds')}
        if rows:
            lines += ['', f'## {name}', '', '| | |', '|---|---|']
            lines += [f'| {key} | {f"{value:.4g}" if isinstance(value, float) else value} |'
                      for key, value in rows.items()]
    return '\n'.join(lines) + '\n'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('--wheels', type=Path, help='folder of `make wheels`; default: the '
                        'packages are installed')
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda',
                        help='cpu: to try this script itself')
    parser.add_argument('--arch', default='base')
    parser.add_argument('--batch', type=int, nargs='+', default=[1, 64, 256])
    parser.add_argument('--images', type=int, default=2000, help='toy people to learn from')
    parser.add_argument('--steps', nargs='+', help='default: all')
    args = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit('error: torch is needed, built for the CUDA of this machine')
    if args.device == 'cuda' and not torch.cuda.is_available():
        sys.exit('error: torch finds no CUDA device; --device cpu tries the script itself')
    cards = torch.cuda.device_count() if args.device == 'cuda' else 0
    output = args.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    machine = dict(device=torch.cuda.get_device_name() if cards else platform.processor() or 'CPU',
                   cards=cards, torch=torch.__version__, python=platform.python_version())
    try:
        python = prepare(output / 'environment', args.wheels)
    except OSError as error:
        sys.exit(f'error: {error}')
    results: dict[str, Results] = {}
    for step in plan(output, args.device, cards, args.arch, args.batch, args.images):
        if args.steps and step.name not in args.steps:
            continue
        print(f'{step.name} ...', flush=True)
        results[step.name] = run(step, python, output)
        print(f'  {results[step.name]["outcome"]}, {results[step.name]["seconds"]} s', flush=True)
        # After each step: a machine that is taken away leaves what was found.
        (output / 'report.json').write_text(json.dumps(dict(machine=machine, steps=results),
                                                       indent=1))
        (output / 'report.md').write_text(to_markdown(machine, results))
    print(f'wrote {output / "report.md"}')
    return int(any(found['outcome'] != 'ok' for found in results.values()))


if __name__ == '__main__':
    sys.exit(main())
