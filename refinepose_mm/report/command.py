"""`refinepose report`: what a model does on its test data, on one page."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import time
from pathlib import Path

from mmengine.config import Config
from mmpose.registry import DATASETS

from ..bundled import NAMES as BUNDLED
from ..bundled import config_and_weights
from ..deploy.config import TEST_DATA, load_config, metainfo_of, require_file
from ..deploy.formats import is_exported, require_trust
from ..files import refuse_inputs, replacing, require_folder
from ..own_data.photos import find_folder
from ..own_data.schema import read_data
from ..version import __version__
from .collect import Collected, collect, heatmaps
from .comparison import few, require_same
from .page import Album, Names, render
from .pictures import pictures
from .resampling import SEED, TIMES
from .study import (
    Study,
    at_random,
    caption,
    compared,
    most_different,
    numbers,
    study,
    worst,
)

PAGE, NUMBERS = 'report.html', 'numbers.json'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose report`."""
    parser.add_argument('config', help='config of the model, with its test data and metrics; or '
                        f'the name of a bundled model: {", ".join(BUNDLED)}')
    parser.add_argument('weights', nargs='?', help='checkpoint, or exported model (.onnx, .xml or '
                        '.pt2)')
    parser.add_argument('--output', required=True, metavar='FOLDER',
                        help=f'for {PAGE} and {NUMBERS}; made if missing')
    parser.add_argument('--against', metavar='OTHER', help='another checkpoint or exported model '
                        '(or the name of a bundled one), to compare with')
    parser.add_argument('--against-config', metavar='CONFIG', help='its config, if it is another '
                        'one')
    parser.add_argument('--data', metavar='JSON', help="json of keypoints in COCO's format, in "
                        "place of the config's test data")
    parser.add_argument('--images', metavar='FOLDER', help='folder of its photos; default: looked '
                        'for near it')
    parser.add_argument('--precision', default='f32', choices=('f32', 'bf16'),
                        help='bf16: for OpenVINO files on CPUs that support it')
    parser.add_argument('--trust', action='store_true',
                        help='load a .pt2 file, which can execute code of its own')


def run(args: argparse.Namespace) -> int:
    """Test, and write the page.

    Raises:
        OSError: If a file is not there, or the folder cannot be written to.
        ValueError: If config, weights and data do not fit.
    """
    start = time.perf_counter()
    if args.images and not args.data:
        raise ValueError('--images is for --data')
    if args.against_config and not args.against:
        raise ValueError('--against-config is for --against')
    files = [config_and_weights(args.config, args.weights)]
    if args.against:
        named = args.against in BUNDLED and not Path(args.against).is_file()
        files.append(config_and_weights(
            args.against if named else args.against_config or files[0][0],
            None if named else args.against))
    configs = [_config(files[0][0], args.data, args.images)]
    for source, _ in files[1:]:
        configs.append(_config(source, args.data, args.images, configs[0]))
    for _, weights in files:
        require_file(weights)
        if is_exported(weights):
            require_trust(weights, args.trust)  # before the other one is tested
        if args.precision != 'f32' and not str(weights).endswith('.xml'):
            raise ValueError(f'--precision {args.precision} is for OpenVINO files (.xml), got '
                             f'{weights}')
    folder = Path(args.output)
    if not folder.is_dir():
        require_folder(folder)
        folder.mkdir()
    inputs = [path for pair in files for path in pair] + _annotations(configs)
    for name in (PAGE, NUMBERS):
        require_folder(folder / name)
        refuse_inputs(folder / name, inputs)
    tests, studies = [], []
    for config, (_, weights) in zip(configs, files):
        print(f'testing {weights}', file=sys.stderr, flush=True)
        tests.append(collect(config, weights, args.precision, args.trust))
        require_same(tests[0], tests[-1])
        print('computing intervals and errors', file=sys.stderr, flush=True)
        studies.append(study(tests[-1], weights))
    comparison = compared(studies[0], studies[1]) if args.against else None
    names = _names([Path(weights) for _, weights in files], configs[0])
    page = render(names, studies[0], studies[1] if args.against else None, comparison,
                  _albums(tests, studies, names),
                  _facts(files, configs[0], tests[0], studies[0], start))
    with replacing(folder / NUMBERS) as path:
        path.write_text(json.dumps(numbers(studies[0], comparison), indent=1), encoding='utf-8')
    with replacing(folder / PAGE) as path:
        path.write_text(page, encoding='utf-8')
    for name, value in tests[0].metrics.items():
        print(f'{name}: {value:.6f}')
    print(f'wrote {folder / PAGE}, {len(page.encode()) / 1e6:.1f} MB; open it in a browser')
    return 0


def _annotations(configs: list[Config]) -> list[str]:
    """The json files that the tests read."""
    datasets = [config.test_dataloader.dataset for config in configs]
    return [os.path.join(dataset.get('data_root') or '', dataset.ann_file)
            for dataset in datasets if dataset.get('ann_file')]


def _config(source: str | Path, data: str | None, images: str | None,
            first: Config | None = None) -> Config:
    """A config that has test data: the given ones, its own, or those of the first model.

    Raises:
        OSError: If a file or folder is not there.
        ValueError: If there are none, or the joints are others.
    """
    config = load_config(source, f'{TEST_DATA}.type', f'{TEST_DATA}.pipeline')
    if data is not None:
        return _on(config, data, images)
    if config.get('test_evaluator'):
        return config
    if first is None:
        raise ValueError(f'{source} has no test data; name a json of keypoints with --data')
    config.test_dataloader = dict(first.test_dataloader, dataset=dict(
        first.test_dataloader.dataset, pipeline=config.test_dataloader.dataset.pipeline))
    config.test_evaluator, config.test_cfg = first.test_evaluator, first.get('test_cfg') or {}
    return config


def _on(config: Config, data: str, images: str | None) -> Config:
    """A config with a json in place of its test data, PCK and AP in place of its metrics.

    Raises:
        OSError: If a file or folder is not there.
        ValueError: If it is no json of keypoints, or the joints are others.
    """
    annotated = read_data(data)
    folder = find_folder(annotated, images)
    dataset = config.test_dataloader.dataset
    expected = metainfo_of(dataset)
    joints = [expected['keypoint_id2name'][joint] for joint in range(expected['num_keypoints'])]
    if annotated.names != joints:
        raise ValueError(f'{data} has the joints {few(annotated.names)}, the model finds '
                         f'{few(joints)}')
    path = str(Path(data).resolve())
    config.test_dataloader = dict(
        batch_size=config.test_dataloader.get('batch_size', 32),
        num_workers=config.test_dataloader.get('num_workers', 0),
        sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
        dataset=dict(type='CocoDataset', data_mode='topdown', test_mode=True,
                     metainfo=dataset.get('metainfo') or DATASETS.get(dataset.type).METAINFO,
                     ann_file=path, data_prefix=dict(img=str(folder.resolve())),
                     pipeline=dataset.pipeline))
    config.test_evaluator = [
        *(dict(type='PCKAccuracy', thr=share, norm_item='bbox', prefix=f'bbox@{share:g}')
          for share in (.05, .1, .2)), dict(type='CocoMetric', ann_file=path)]
    config.test_cfg = config.get('test_cfg') or {}
    return config


def _names(weights: list[Path], config: Config) -> Names:
    """Files' names; with their folders where they are alike."""
    short = [path.name for path in weights]
    if len(set(short)) < len(short):
        short = [f'{path.resolve().parent.name}/{path.name}' for path in weights]
    if len(set(short)) < len(short):
        short[1] += ' (2)'  # the other one
    dataset = config.test_dataloader.dataset
    data = Path(str(dataset.get('ann_file') or dataset.type)).name
    return Names(short[0], short[1] if len(short) > 1 else '', data)


def _albums(tests: list[Collected], studies: list[Study], names: Names) -> list[Album]:
    """Pictures: where two models differ most, the worst persons, and some at random."""
    albums = []
    model = studies[0]
    if len(studies) > 1:
        other = studies[1]
        for title, persons in zip((f'Where {names.model} is better', f'Where {names.other} is '
                                   'better'), most_different(compared(*studies), (model, other))):
            captions = [f'{caption(model, person)}; {names.other}: {caption(other, person)}'
                        for person in persons]
            drawn = pictures(model.table, model.kind, persons, captions,
                             other=(other.table, other.kind))
            if drawn:
                albums.append(Album(title, f'From left to right: the truth, {names.model}, '
                                    f'{names.other}. {RINGS}', drawn))
    for title, persons in ((f'The worst {{}} of {len(model.person_oks)} persons', worst(model)),
                           ('{} persons at random', at_random(model))):
        maps = heatmaps(tests[0], model.table.found.place[model.table.match[persons]])
        drawn = pictures(model.table, model.kind, persons,
                         [caption(model, person) for person in persons], maps)
        note = 'From left to right: the truth, what was found' + (
            ', and the heatmaps, the highest at each place.' if maps is not None else '.')
        albums.append(Album(title.format(len(persons)), f'{note} {RINGS}', drawn))
    return albums


RINGS = ('A ring marks an error, in the colour of its kind; a line leads to the right place. '
         'Hollow joints are hidden ones.')


def _facts(files: list[tuple], config: Config, test: Collected, model: Study, start: float
           ) -> list[tuple[str, str]]:
    """How it was measured."""
    flip = (config.model.get('test_cfg') or {}).get('flip_test', False)
    exported = is_exported(files[0][1])
    facts = [('config', str(files[0][0])), ('weights', str(files[0][1])),
             ('test data', str(config.test_dataloader.dataset.get('ann_file', '')))]
    if len(files) > 1:
        facts += [('compared with', f'{files[1][1]}, {files[1][0]}')]
    facts += [
        ('boxes', "a detector's" if model.table.detected else 'annotated'),
        ('flip test', 'yes' if flip and not exported else 'as the file has it' if exported
         else 'no'),
        ('scores', "heights of heatmaps' maxima" if test.runner.model.calibration is None else
         'probabilities, by the calibration in the file; AP ranks persons by heights'),
        ('intervals', f'95 %, from {TIMES} draws of images with replacement, seed {SEED}'),
        ('right', f'a joint that is {model.by}'),
        ('errors', 'similarity ks of a joint, as in OKS: good from .85, jitter from .5; else an '
         'inversion, a swap or a miss. Persons keep their ranks while joints are moved.'),
        ('made', f'{datetime.datetime.now():%Y-%m-%d %H:%M} by refinepose_mm {__version__}, in '
         f'{time.perf_counter() - start:.0f} seconds')]
    return facts
