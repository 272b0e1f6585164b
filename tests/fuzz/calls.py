"""Bad calls of every command, generated: each has one mistake or, chosen by a seed, two."""

from __future__ import annotations

import random
from typing import NamedTuple

from world import (
    BAD_CALIBRATIONS,
    BAD_CONFIGS,
    BAD_EVALUATIONS,
    BAD_TEST_CONFIGS,
    BAD_TRAININGS,
    EXPORTED,
    NOT_CONFIGS,
    ODD_BOXES,
    ODD_PEOPLE,
    RAW_BOXES,
    RAW_PEOPLE,
    WRONG_BOXES,
    WRONG_PEOPLE,
)

SEED = 20221125
PAIRS = 60  # calls with two mistakes


class Command(NamedTuple):
    """A good call, as option -> words, and for options the words that are mistakes.

    Positional arguments have their place as the option's name. Words are patterns: {name} is a
    file of the world, {out} the empty folder of the call.
    """

    name: str
    good: dict[str, list[str]]
    bad: dict[str, list[list[str]]]


def _files(*names: str) -> list[list[str]]:
    return [[f'{{{name}}}'] for name in names]


def _words(*values: str) -> list[list[str]]:
    return [value.split() if value else [''] for value in values]


def _configs(*kinds: dict) -> list[list[str]]:
    return _files('missing.py', 'folder.py', 'photo', 'checkpoint.pth', 'below_a_file',
                  *NOT_CONFIGS, *(f'config_{name}' for kind in kinds for name in kind)) + [['']]


CHECKPOINTS = _files(
    'missing.pth', 'folder.pth', 'empty.pth', 'text.pth', 'random.pth', 'truncated.pth', 'photo',
    'wide.pth', 'list.pth', 'numbers.pth', 'no_weights.pth', 'pickled.pth', 'nan.pth',
    'empty.safetensors', 'text.safetensors', 'random.safetensors', 'header.safetensors',
    'config_as_it_is', 'below_a_file') + [[''], ['http://'], ['ftp://host/x.pth']]
EXPORTS = _files(*(f'{kind}.{suffix}' for suffix in EXPORTED
                   for kind in ('missing', 'folder', 'empty', 'text', 'random', 'truncated',
                                'checkpoint_named')))
TRUSTED = [[*words, '--trust'] for words in EXPORTS if words[0].endswith('.pt2}')]
DEVICES = _words('cuda:0', 'gpu', '', 'cuda:99', 'meta', 'mps', 'cpu,cuda', '0', 'privateuseone')
NUMBERS = _words('0', '-1', 'many', '1.5', '')
SIZES = _words('0 0', '-16 -16', '16 0', '120 90', '1000000000 1000000000', '16 x', '64')
PEOPLE = _files('missing.json', 'folder.json', 'photo', 'checkpoint.pth', 'boxes_good.json',
                *RAW_PEOPLE, *(f'people_{name}.json' for name in WRONG_PEOPLE)) + [['']]
SIDES = _words('left', 'left,', 'left,left', ',', '')
FOLDERS = _files('below_a_file', 'photo') + [['/proc/nowhere'], ['/dev/null/x']]


def _outputs(suffix: str, source: str) -> list[list[str]]:
    """Places for a file that cannot be written, or that would replace an input."""
    return [[f'{{below_a_file}}{suffix}'], ['{out}'], [f'{{out}}/none/x{suffix}'],
            [f'/proc/nowhere{suffix}'], [f'{{out}}/{"n" * 300}{suffix}'],
            [f'{{hard:{source}}}{suffix}'], [f'{{soft:{source}}}{suffix}'], [f'{{{source}}}']]


COMMANDS = [
    Command('predict', {
        'source': ['{photos}'], '--config': ['{config_as_it_is}'],
        '--weights': ['{checkpoint.pth}'], '--output': ['{out}/results']}, {
        'source': _files(
            'missing', 'missing.jpg', 'folder', 'broken_photos', 'empty.jpg', 'text.jpg',
            'random.png', 'truncated.jpg', 'photo_named.mp4', 'photo_named.txt', 'empty.mp4',
            'text.avi', 'random.mkv', 'truncated.mp4', 'checkpoint.pth', 'below_a_file')
        + [[''], ['rtsp://camera/1'], ['{photo}', '{photo}'], ['n' * 5000]],
        '--config': _configs(BAD_CONFIGS, BAD_TEST_CONFIGS),
        '--weights': CHECKPOINTS + EXPORTS + TRUSTED,
        '--boxes': _files('missing.json', 'folder.json', 'photo', *WRONG_BOXES, *ODD_BOXES,
                          *RAW_BOXES),
        '--output': FOLDERS + [['{photos}'], ['{photos}/../photos'], ['{soft:photos}']],
        '--device': DEVICES,
        '--batch-size': NUMBERS,
        '--threshold': _words('high', '', 'nan', 'inf'),
    }),
    Command('train', {
        'config': ['{config_as_it_is}'], '--gpus': ['0'], '--work-dir': ['{out}/run']}, {
        'config': _configs(BAD_CONFIGS, BAD_TRAININGS),
        '--gpus': _words('-1', '99', 'x', '1.5', ''),
        '--resume': _files('missing.pth', 'folder.pth', 'text.pth', 'truncated.pth',
                           'checkpoint.pth', 'nan.pth', 'photo'),
        '--work-dir': FOLDERS,
        '--amp': [[]],
        '--cfg-options': _words('x', '=1', 'modl.x=1', 'model.backbone=7', 'model=none',
                                'custom_hooks.9.type=x', 'train_dataloader.batch_size=none'),
    }),
    Command('test', {
        'config': ['{config_as_it_is}'], 'weights': ['{checkpoint.pth}'],
        '--work-dir': ['{out}/log']}, {
        'config': _configs(BAD_CONFIGS, BAD_TEST_CONFIGS, BAD_EVALUATIONS),
        'weights': CHECKPOINTS + EXPORTS + TRUSTED,
        '--precision': _words('bf16', 'f16', ''),
        '--work-dir': FOLDERS,
    }),
    Command('export', {
        'config': ['{config_as_it_is}'], 'checkpoint': ['{checkpoint.pth}'],
        '--format': ['torch-export'], '--output': ['{out}/model.pt2']}, {
        'config': _configs(BAD_CONFIGS),
        'checkpoint': CHECKPOINTS,
        '--format': _words('onnx', 'openvino', 'tensorrt', ''),  # the output ends in .pt2
        '--output': _outputs('.pt2', 'checkpoint.pth') + [['{out}/model.onnx'], ['']],
        '--decode': _words('please'),
    }),
    Command('quantize', {
        'config': ['{config_as_it_is}'], 'file': ['{exported.xml}'],
        '--output': ['{out}/model.xml'], '--persons': ['2']}, {
        'config': _configs(BAD_CALIBRATIONS),
        'file': _files('missing.xml', 'empty.xml', 'text.xml', 'random.xml', 'checkpoint.pth',
                       'folder.xml', 'photo'),
        '--output': _outputs('.xml', 'exported.xml') + [['{out}/model.onnx']],
        '--persons': NUMBERS,
    }),
    Command('weights', {
        'source': ['{checkpoint.pth}'], '--arch': ['tiny'], '--img-size': ['128', '96'],
        '--output': ['{out}/encoder.pth']}, {
        'source': CHECKPOINTS + _files('folder', 'photos', 'missing.json', 'text.json',
                                       'boxes_good.json', 'boxes_deep.json'),
        '--arch': _words('small', 'giant', ''),
        '--img-size': SIZES,
        '--num-heads': _words('0', '-1', '5', '1000000', 'x'),
        '--expert': _words('coco', 'nobody'),
        '--plain': _words('yes'),
        '--output': _outputs('.pth', 'checkpoint.pth') + _outputs('.safetensors', 'checkpoint.pth'),
    }),
    Command('complexity', {'--arch': ['tiny'], '--img-size': ['128', '96']}, {
        '--arch': _words('giant', ''), '--img-size': SIZES,
        'more': _words('more'),
    }),
    Command('benchmark', {
        '--arch': ['tiny'], '--img-size': ['64x48'], '--batch': ['1'], '--rounds': ['1'],
        '--model': ['RefinePose'], '--engine': ['eager'], '--output': ['{out}/times.json']}, {
        '--arch': _words('giant'),
        '--img-size': _words('0x0', '-16x16', '64', 'axb', '60x48', '1000000000x1000000000', ''),
        '--batch': NUMBERS, '--rounds': NUMBERS, '--threads': NUMBERS,
        '--model': [['RefineNet'], ['']],
        '--engine': _words('tensorrt', ''), '--dtype': _words('fp64'), '--task': _words('sleep'),
        '--device': DEVICES,
        '--output': [['{below_a_file}'], ['{out}'], ['{out}/none/times.json'], ['/proc/nowhere']],
        '--plot': [['{below_a_file}'], ['{out}'], ['{out}/none/x.png'], ['{out}/x.docx'],
                   ['{out}/x']],
    }),
    Command('toy', {'--output': ['{out}/toy'], '--train': ['1'], '--val': ['1']}, {
        '--output': FOLDERS + _files('photos', 'toy_broken', 'toy_list', 'toy_binary'),
        '--train': NUMBERS, '--val': NUMBERS, '--seed': _words('-1', 'x', '1.5', ''),
    }),
    Command('demo', {
        '--config': ['{config_as_it_is}'], '--data': ['{out}/toy'], '--work-dir': ['{out}/run'],
        '--train': ['1'], '--val': ['1']}, {
        '--config': _files('missing.py', 'folder.py', 'config_syntax.py', 'config_empty.py'),
        '--data': FOLDERS + _files('photos', 'toy_broken'),
        '--work-dir': FOLDERS,
        '--train': NUMBERS, '--val': NUMBERS,
    }),
    Command('check', {
        'source': ['{people_good.json}'], '--images': ['{toy}/train'],
        '--output': ['{out}/sheet.png']}, {
        'source': PEOPLE + _files(*(f'people_{name}.json' for name in ODD_PEOPLE)),
        '--images': _files('missing', 'photo', 'folder') + [['/proc/nowhere']],
        '--val': PEOPLE,
        '--val-images': [['{missing}', '--val', '{people_good.json}']],
        '--sides': SIDES,
        '--output': _outputs('.png', 'people_good.json'),
    }),
    Command('check', {'source': ['{config_as_it_is}']}, {
        'source': _configs(BAD_CONFIGS, BAD_TRAININGS),
        '--images': _files('photos'), '--sides': [['links,rechts']],
        '--output': [['{out}/sheet.png']],
    }),
    Command('new', {
        'source': ['{people_good.json}'], '--split': ['0.4'], '--images': ['{toy}/train'],
        '--output': ['{out}/project'], '--arch': ['tiny']}, {
        'source': PEOPLE,
        '--split': _words('0', '1', '-1', '2', 'nan', 'inf', 'half', '', '0.01'),
        '--images': _files('missing', 'photo', 'folder'),
        '--val': PEOPLE,  # beside --split
        '--output': FOLDERS + _files('photos') + [
            ['{out}'], ['{out}/none/project'], [''], ['{out}/' + 'n' * 300]],
        '--arch': _words('giant', ''),
        '--from': CHECKPOINTS + [words for words in EXPORTS if 'named' not in words[0]],
        '--num-heads': [['5', '--from', '{checkpoint.pth}'], ['x']],
        '--budget': _words('0', '-1', 'nan', 'inf', 'long', ''),
        '--sides': SIDES,
    }),
    Command('run', {}, {'script': _files('missing.py') + [[]]}),
    Command('doctor', {}, {'more': _words('now', '--heal')}),
]
OUTSIDE = _words('', 'predic', '--frobnicate', 'predict --help-me', '-1', '--version=2') + [[]]


def line(command: Command, mistakes: dict[str, list[str]]) -> tuple[str, ...]:
    """The words of a call."""
    words = [command.name]
    for option, values in {**command.good, **mistakes}.items():
        words += [option] if option.startswith('-') else []
        words += values
    return tuple(words)


def generate() -> list[tuple[str, ...]]:
    """All calls with one mistake, and some with two; always the same ones."""
    calls = [tuple(words) for words in OUTSIDE]
    for command in COMMANDS:
        calls += [line(command, {option: words})
                  for option, choices in command.bad.items() for words in choices]
    draw = random.Random(SEED)
    for _ in range(PAIRS):
        command = draw.choice(COMMANDS[:-2])
        first, second = draw.sample(sorted(command.bad), 2)
        calls.append(line(command, {option: draw.choice(command.bad[option])
                                    for option in (first, second)}))
    return list(dict.fromkeys(calls))
