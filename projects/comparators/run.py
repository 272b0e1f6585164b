"""The systems that the paper compares with, by MMPose's own configs, beside ours in one table.

    python projects/comparators/run.py --root data/coco --weights downloads
    python projects/comparators/run.py --data mpii --root data/mpii --weights downloads

Each is built, loaded and tested with the same boxes and flip test; bottom-up ones need no boxes.
Weights are found in the folder by the hash that OpenMMLab puts into their names, whatever they are
called there. A system without weights runs on random ones, and the table says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import re
import statistics
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import Tensor, nn
from tqdm import tqdm

from refinepose_mm.benchmark.measure import compare, device_name
from refinepose_mm.deploy.config import usable_device
from refinepose_mm.deploy.evaluate import evaluate
from refinepose_mm.files import replacing

sys.path.insert(0, str(Path(__file__).parent))
from systems import MMPOSE, ROWS, Row  # noqa: E402

# Keys of the metrics, and how MMPose's metafiles call them.
METRICS = dict(coco={'coco/AP': 'AP', 'coco/AR': 'AR'}, mpii={'PCK': 'Mean'})
IN_PERCENT = dict(coco=100., mpii=1.)  # MMPose's PCKh is in percent, its AP is not
NAME_HASH = re.compile(r'-([0-9a-f]{8})(?:_\d+)?\.pth$')
CHECKPOINTS = ('.pth', '.safetensors')
ROUNDS = 5


class Network(nn.Module):
    """A pose estimator as a function of the image alone, giving a tuple of tensors."""

    def __init__(self, estimator: nn.Module):
        super().__init__()
        self.estimator = estimator

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(_tensors(self.estimator(image, None, mode='tensor')))


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)


class Weights:
    """The checkpoints of a folder, by the first eight digits of their SHA-256.

    Args:
        folder: None has none.

    Raises:
        OSError: If there is no such folder.
        ValueError: If a file's name has another hash than its content.
    """

    def __init__(self, folder: Path | None):
        self.by_hash: dict[str, Path] = {}
        self.by_name: dict[str, Path] = {}
        if folder is not None and not folder.is_dir():
            raise NotADirectoryError(f'{folder} is no folder of weights')
        for path in sorted(folder.iterdir()) if folder else []:
            if path.suffix not in CHECKPOINTS:
                continue
            digest = _sha256(path)[:8]
            named = NAME_HASH.search(path.name)
            if named and named.group(1) != digest:
                raise ValueError(f'{path} is damaged or not what it is called: its hash begins '
                                 f'with {digest}, its name says {named.group(1)}')
            self.by_hash[digest] = self.by_name[path.stem] = path

    def of(self, row: Row) -> Path | None:
        """The checkpoint of a system; of ours, one that is called like the config."""
        url = row.published().get('Weights')
        if url is None:
            return self.by_name.get(Path(row.config).stem)
        named = NAME_HASH.search(url)
        return self.by_hash.get(named.group(1)) if named else None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def prepare(row: Row, data: str) -> Config:
    """A system's config on our test data: same files, same boxes, flip test.

    The folder and the boxes come from the environment, as in configs/_base_.
    """
    ours = Row('', f'configs/refinepose_vitb_{data}.py').load()
    config = row.load()
    dataset, same = config.test_dataloader.dataset, ours.test_dataloader.dataset
    dataset.update({key: same[key] for key in (
        'data_root', 'ann_file', 'data_prefix', 'headbox_file') if key in same})
    dataset.pop('bbox_file', None)
    if dataset.data_mode == 'topdown' and same.get('bbox_file'):
        dataset.bbox_file = same.bbox_file
    if 'ann_file' in config.test_evaluator:
        config.test_evaluator.ann_file = ours.test_evaluator.ann_file
    config.model.test_cfg.flip_test = True
    config.custom_hooks = []  # of training
    config.test_dataloader.update(num_workers=1, persistent_workers=False)
    config.visualizer = dict(type='Visualizer')
    return config


def input_size(config: Config) -> tuple[int, int]:
    """Height and width of what the network sees."""
    codec = config.model.head.get('decoder') or config.codec
    width, height = codec['input_size']
    return height, width


def measure(model: nn.Module, size: tuple[int, int], device: torch.device) -> dict[str, float]:
    """Parameters, multiply-accumulates and milliseconds of one image of a size."""
    network = Network(model.eval())
    counted = get_model_complexity_info(
        network, input_shape=(3, *size), show_table=False, show_arch=False)
    network.to(device)
    image = torch.rand(1, 3, *size, device=device)
    with torch.inference_mode():
        seconds = compare(dict(forward=lambda: network(image)), ROUNDS, device)['forward']
    return dict(parameters=sum(p.numel() for p in model.parameters()), macs=counted['flops'],
                milliseconds=statistics.median(seconds) * 1000)


def run_row(row: Row, data: str, weights: Path | None, device: torch.device,
            work_dir: Path) -> dict:
    """Everything of a table's row, as json can hold it."""
    config = prepare(row, data)
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    size = input_size(config)
    found = dict(name=row.name, config=row.config, note=row.note, paper=list(row.paper),
                 input=f'{size[0]}x{size[1]}', boxes=config.test_dataloader.dataset.data_mode,
                 weights=weights.name if weights else None)
    reported = row.published().get('Results')
    if reported:
        by_name = reported[0]['Metrics']
        found['mmpose'] = [by_name.get(name) for name in METRICS[data].values()]
    with tempfile.TemporaryDirectory() as folder:
        if weights is None:
            weights = Path(folder) / 'random.pth'
            torch.save(model.state_dict(), weights)
        scores = evaluate(config, weights, work_dir=str(work_dir / Path(row.config).stem))
    found['scores'] = [scores[key] * IN_PERCENT[data] for key in METRICS[data]]
    return found | measure(model, size, device)


def markdown(rows: list[dict], data: str) -> str:
    """The table, with what a reader must know before it."""
    names = list(METRICS[data].values()) if data == 'coco' else ['PCKh']
    heads = ['system', 'input', 'parameters', 'GMACs', 'ms', *names,
             *(f'{name}, paper' for name in names), *(f'{name}, MMPose' for name in names),
             'weights']
    lines = [f'| {" | ".join(heads)} |', '|---' * len(heads) + '|']
    for row in rows:
        name = f'{row["name"]} ({row["note"]})' if row['note'] else row['name']
        if 'error' in row:
            lines.append(f'| {name} | does not run: {row["error"]} |')
            continue
        lines.append('| ' + ' | '.join([
            name, row['input'], f'{row["parameters"] / 1e6:.1f} M', f'{row["macs"] / 1e9:.1f}',
            f'{row["milliseconds"]:.0f}', *(f'{score:.1f}' for score in row['scores']),
            *_cells(row['paper'], names), *_cells(
                [value and value * 100 for value in row.get('mmpose', [])], names),
            row['weights'] or 'random']) + ' |')
    return '\n'.join(lines) + '\n'


def _cells(values: list[float | None], names: list[str]) -> list[str]:
    values = [*values, *[None] * len(names)][:len(names)]
    return ['-' if value is None else f'{value:.1f}' for value in values]


def summary(rows: list[dict], about: dict) -> str:
    """The page of a run."""
    random = sum('error' not in row and row['weights'] is None for row in rows)
    words = [f'Machine: {about["machine"]}, torch {torch.__version__}. Boxes: {about["boxes"]}; '
             'flip test; ms: one image through backbone and head, without flip.']
    if random:
        words.append(f'**{random} of {len(rows)} systems have random weights: their accuracies '
                     'mean nothing, all other columns do.**')
    return '\n\n'.join([*words, markdown(rows, about['data'])])


def run(args: argparse.Namespace) -> None:
    """Test the systems one after the other; each is written as soon as it is done."""
    if not args.root.is_dir():
        raise NotADirectoryError(f'{args.root} is no folder of {args.data}')
    os.environ[f'{args.data.upper()}_ROOT'] = str(args.root.resolve())
    if args.data == 'coco':
        os.environ['COCO_BOXES'] = args.boxes
    device, found = usable_device(args.device), Weights(args.weights)
    chosen = [row for row in ROWS[args.data]
              if not args.only or any(word in row.config for word in args.only)]
    if not chosen:
        raise ValueError(f'--only {" ".join(args.only)} fits none of: '
                         f'{", ".join(Path(row.config).stem for row in ROWS[args.data])}')
    about = dict(data=args.data, machine=device_name(device),
                 boxes=args.boxes if args.data == 'coco' else 'annotated')
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    warnings.simplefilter('ignore')  # of MMPose and MMDetection, at each system
    rows = []
    for row in tqdm(chosen, unit='system'):
        weights = found.of(row)
        if weights is None:
            tqdm.write(f'{Path(row.config).stem}: no weights, random ones', file=sys.stderr)
        try:
            rows.append(run_row(row, args.data, weights, device, args.output / 'logs'))
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            reason = reason.replace(f'{MMPOSE}/', '')  # where it is on this machine
            tqdm.write(f'{Path(row.config).stem} does not run: {reason}', file=sys.stderr)
            rows.append(dict(row._asdict(), error=reason))
        for name, text in (('json', json.dumps(dict(about, rows=rows), indent=1)),
                           ('md', summary(rows, about))):
            with replacing(args.output / f'{args.data}.{name}') as path:
                path.write_text(text)
    print(summary(rows, about))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--root', type=Path, required=True, help='folder of COCO or MPII')
    parser.add_argument('--data', choices=list(ROWS), default='coco')
    parser.add_argument('--weights', type=Path, help="folder of OpenMMLab's checkpoints")
    parser.add_argument('--boxes', default='AP_H_56',
                        help='of COCO: AP_H_56, gt or a detection file; default: %(default)s')
    parser.add_argument('--only', nargs='+', default=[], metavar='WORD',
                        help='systems whose config has one of these words')
    parser.add_argument('--output', type=Path, default=Path('work_dirs/comparators'),
                        help='folder for the table, as .md and .json; default: %(default)s')
    parser.add_argument('--device', default='cpu', help='for the times, such as cuda:0')
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    try:
        run(args)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
