"""The files that bad calls name: good ones, and broken ones of every kind, made on demand."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Callable

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmpose.registry import MODELS

from refinepose_mm.datasets import toy_people
from refinepose_mm.deploy import video
from refinepose_mm.deploy.export import export
from refinepose_mm.recipes import refinepose

NAN = float('nan')


def _without(*fields: str):
    """A change that removes dotted fields."""

    def change(config: Config) -> None:
        for name in fields:
            *parents, last = name.split('.')
            table = config
            for parent in parents:
                table = table[parent]
            table.pop(last)

    return change


def _with(**values: object):
    """A change that sets fields; __ stands for a dot."""
    return lambda config: config.merge_from_dict(
        {name.replace('__', '.'): value for name, value in values.items()})


def _codec(kind: str, **arguments: object):
    """A change to another codec, with the same sizes where it has heatmaps."""

    def change(config: Config) -> None:
        old = config.model.head.decoder
        config.model.head.decoder = dict(type=kind, input_size=old.input_size, **arguments)

    return change


# The toy config with one change each.
GOOD_CONFIGS = {
    'as_it_is': lambda config: None,
    'udp': _codec('UDPHeatmap', heatmap_size=(24, 32), sigma=1.5),
    'msra': _codec('MSRAHeatmap', heatmap_size=(24, 32), sigma=1.5),
    'no_scope': _without('default_scope'),
    'no_test_cfg': _without('model.test_cfg'),
    'no_training': _without('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'),
}
BAD_CONFIGS = {
    'no_model': _without('model'),
    'no_model_type': _without('model.type'),
    'no_backbone': _without('model.backbone'),
    'no_head': _without('model.head'),
    'no_decoder': _without('model.head.decoder'),
    'no_decoder_type': _without('model.head.decoder.type'),
    'no_input_size': _without('model.head.decoder.input_size'),
    'no_preprocessor': _without('model.data_preprocessor'),
    'unknown_codec': _codec('NoSuchCodec'),
    'unknown_model': _with(model__type='NoSuchModel'),
    'unknown_backbone': _with(model__backbone__type='NoSuchBackbone'),
    'unknown_arch': _with(model__backbone__arch='giant'),
    'odd_size': _with(model__backbone__img_size=(120, 90)),
    'other_width': _with(model__head__in_channels=96),
    'other_keypoints': _with(model__head__out_channels=13),
    'text_model': lambda config: config.__setattr__('model', 'RefinePose'),
}
# What only commands with test data read.
BAD_TEST_CONFIGS = {
    'regression': _codec('RegressionLabel'),
    'simcc': _codec('SimCCLabel'),
    'no_test_data': _without('test_dataloader'),
    'no_dataset': _without('test_dataloader.dataset'),
    'no_dataset_type': _without('test_dataloader.dataset.type'),
    'unknown_dataset': _with(test_dataloader__dataset__type='NoSuchDataset'),
    'no_pipeline': _without('test_dataloader.dataset.pipeline'),
    'empty_pipeline': _with(test_dataloader__dataset__pipeline=[]),
    'text_dataset': lambda config: config.test_dataloader.__setattr__('dataset', 'coco'),
    'no_metainfo_file': _with(test_dataloader__dataset__metainfo=dict(from_file='none.py')),
    'broken_metainfo': _with(test_dataloader__dataset__metainfo=dict(dataset_name='x')),
}
BAD_EVALUATIONS = {
    'no_evaluator': _without('test_evaluator'),
    'unknown_metric': _with(test_evaluator__type='NoSuchMetric'),
    'no_annotations': _with(test_dataloader__dataset__ann_file='annotations/none.json'),
    'no_images': _with(test_dataloader__dataset__data_prefix=dict(img='nowhere/')),
    'no_boxes': _with(test_dataloader__dataset__bbox_file='none.json'),
    'no_workers': _with(test_dataloader__num_workers=0),  # with persistent ones
    'no_batch': _with(test_dataloader__batch_size=0),
    'evaluator_without_file': _with(test_evaluator__ann_file='none.json'),
}
BAD_TRAININGS = {
    'no_train_data': _without('train_dataloader'),
    'no_train_annotations': _with(train_dataloader__dataset__ann_file='annotations/none.json'),
}
BAD_CALIBRATIONS = {
    **BAD_TRAININGS,
    'no_test_data_either': _without('test_dataloader'),
    'no_test_pipeline': _without('test_dataloader.dataset.pipeline'),
    'empty_test_pipeline': _with(test_dataloader__dataset__pipeline=[]),
}
NOT_CONFIGS = {
    'config_empty.py': b'',
    'config_syntax.py': b'model = dict(',
    'config_raises.py': b'raise RuntimeError("two\\nlines")',
    'config_exits.py': b'import sys\nsys.exit(0)',
    'config_binary.py': b'\x00\xff\x80' * 40,
    'config_base.py': b"_base_ = './nowhere.py'",
    'config_import.py': b"custom_imports = dict(imports=['no_such_module'])\nmodel = dict()",
    'config_lazy.py': b'from nowhere import model',
    'config_list.json': b'[1, 2]',
    'config_text.txt': b'model',
}
BOXES = {  # name: content; those of WRONG_BOXES are none at all
    'boxes_good.json': dict(photo=[[10, 10, 90, 200]]),
}
WRONG_BOXES = {
    'boxes_list.json': [[10, 10, 90, 200]],
    'boxes_number.json': 7,
    'boxes_null.json': None,
    'boxes_empty.json': {},
    'boxes_of_others.json': {'other.jpg': [[10, 10, 90, 200]]},
}
ODD_BOXES = {
    'boxes_of_tables.json': dict(photo=dict(x=1)),
    'boxes_flat.json': dict(photo=[10, 10, 90, 200]),
    'boxes_text.json': dict(photo='10 10 90 200'),
    'boxes_of_text.json': dict(photo=[['a', 'b', 'c', 'd']]),
    'boxes_of_nan.json': dict(photo=[[NAN, 10, 90, 200]]),
    'boxes_huge.json': dict(photo=[[0, 0, 1e30, 1e30]]),
    'boxes_integers.json': dict(photo=[[0, 0, 10**400, 10**400]]),
    'boxes_reversed.json': dict(photo=[[90, 200, 10, 10]]),
    'boxes_flat_person.json': dict(photo=[[10, 10, 10, 10]]),
    'boxes_five.json': dict(photo=[[10, 10, 90, 200, .9]]),
    'boxes_truth.json': dict(photo=[[True, False, True, True]]),
    'boxes_none.json': dict(photo=[None]),
}
RAW_BOXES = {
    'boxes_broken.json': b'{"a": [[1, 2',
    'boxes_binary.json': b'\xff\xfe\x00',
    'boxes_deep.json': b'[' * 100_000,
    'boxes_nothing.json': b'',
}
EXPORTED = ('onnx', 'xml', 'pt2')


def _each(table: str, **values: object):
    """A change of a field in every row of a table; None removes it."""

    def change(content: dict) -> None:
        for row in content[table]:
            row.update(values)
            for name in [name for name, value in values.items() if value is None]:
                del row[name]

    return change


# A json of persons with one change each, from which nothing can be learned.
WRONG_PEOPLE: dict[str, Callable[[dict], object]] = {
    'list': lambda content: [content],
    'number': lambda content: 7,
    'text': lambda content: 'images',
    'truth': lambda content: False,
    'table': lambda content: {},
    'no_images': lambda content: content.pop('images') and None,
    'no_annotations': lambda content: content.pop('annotations') and None,
    'no_categories': lambda content: content.pop('categories') and None,
    'images_of_text': lambda content: content.update(images=['photo.jpg']),
    'nothing_listed': lambda content: content.update(images=[], annotations=[], categories=[]),
    'no_persons': lambda content: content.update(annotations=[]),
    'no_bbox': _each('annotations', bbox=None),
    'no_keypoints': _each('annotations', keypoints=None),
    'no_image_id': _each('annotations', image_id=None),
    'bbox_of_text': _each('annotations', bbox='1 2 3 4'),
    'bbox_of_nan': _each('annotations', bbox=[NAN, 1, 2, 3]),
    'bbox_of_integers': _each('annotations', bbox=[10**400, 1, 2, 3]),
    'bbox_flat': _each('annotations', bbox=[1, 2, 0, 0]),
    'short_keypoints': _each('annotations', keypoints=[1, 2, 2]),
    'keypoints_of_tables': _each('annotations', keypoints=[dict(x=1)] * 51),
    'keypoints_of_nan': _each('annotations', keypoints=[NAN] * 51),
    'not_labelled': _each('annotations', keypoints=[0] * 51),
    'crowds': _each('annotations', iscrowd=1),
    'ids_of_lists': _each('annotations', image_id=[1]),
    'unnamed_joints': _each('categories', keypoints=None),
    'one_name': _each('categories', keypoints=['nose'] * 17),
    'names_of_nothing': _each('categories', keypoints=[]),
    'joints_as_table': _each('categories', keypoints=dict(nose=1)),
    'no_file_name': _each('images', file_name=None),
    'files_elsewhere': _each('images', file_name='/etc/hostname'),
    'files_missing': _each('images', file_name='../none.jpg'),
    'files_of_numbers': _each('images', file_name=7),
}
# What is found, though something can be learned.
ODD_PEOPLE = {
    'one_bbox_of_nan': lambda content: content['annotations'][0].update(bbox=[NAN] * 4),
    'repeated_ids': _each('annotations', id=1),
    'other_size': _each('images', width=7, height=8),
    'far_links': _each('categories', skeleton=[[1, 99], 'x', [1]]),
    'far_joints': lambda content: content['annotations'][0].update(keypoints=[1e9, 1e9, 2] * 17),
    'huge_joints': lambda content: content['annotations'][0].update(keypoints=[10**400, 0, 2] * 17),
}
RAW_PEOPLE = {f'people_{name[6:]}': content for name, content in RAW_BOXES.items()}


class World:
    """Files by name, in one folder; nothing in it may ever change.

    Args:
        folder: For the files.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        toy_people.generate(folder / 'toy', num_train=3, num_val=2)
        self.made: dict[str, Path] = {}
        self.model = refinepose('tiny', (128, 96))
        self.model['head']['decoder']['sigma'] = 1.5  # as in the config, or files are not of it

    def path(self, name: str) -> Path:
        """The file of a name, made when it is first asked for."""
        if name not in self.made:
            self.made[name] = self._make(name)
        return self.made[name]

    def fingerprint(self) -> dict[str, str]:
        """A hash of every file."""
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(self.folder.rglob('*')) if path.is_file()}

    def _make(self, name: str) -> Path:
        path = self.folder / name
        photo = self.folder / 'photos' / 'photo.jpg'
        if name == 'missing' or name.startswith('missing.'):
            pass
        elif name == 'below_a_file':
            return self.path('photo') / 'below'
        elif name == 'photos':
            photo.parent.mkdir()
            image = cv2.imread(str(next((self.folder / 'toy/val').glob('*.jpg'))))
            cv2.imwrite(str(photo), image)
            return photo.parent
        elif name == 'photo':
            self.path('photos')
            return photo
        elif name == 'toy':
            return path
        elif name.startswith('config_') and name in NOT_CONFIGS:
            path.write_bytes(NOT_CONFIGS[name])
        elif name.startswith('config_'):
            self._config(path.with_suffix('.py'), name[len('config_'):])
            return path.with_suffix('.py')
        elif name.startswith('boxes_'):
            self._boxes(path)
        elif name.startswith('people_'):
            self._people(path)
        elif name.startswith('folder'):
            path.mkdir()
        elif name.startswith('toy_'):
            path.mkdir()
            (path / toy_people.SPEC).write_bytes(
                dict(toy_broken=b'{', toy_list=b'[]', toy_binary=b'\xff')[name])
        elif name == 'broken_photos':
            path.mkdir()
            (path / 'one.jpg').write_bytes(b'')
            (path / 'two.png').write_bytes(b'\x89PNG')
        else:
            self._file(path)
        return path

    def _config(self, path: Path, change: str) -> None:
        os.environ['TOY_ROOT'] = str(self.folder / 'toy')
        config = Config.fromfile(ROOT / 'configs/refinepose_tiny_toy.py')
        for loader in ('train', 'val', 'test'):  # no processes
            config[f'{loader}_dataloader'].update(num_workers=0, persistent_workers=False)
        config.test_dataloader.persistent_workers = change == 'no_workers'
        {**GOOD_CONFIGS, **BAD_CONFIGS, **BAD_TEST_CONFIGS, **BAD_EVALUATIONS,
         **BAD_CALIBRATIONS}[change](config)
        config.dump(path)

    def _boxes(self, path: Path) -> None:
        if path.name in RAW_BOXES:
            path.write_bytes(RAW_BOXES[path.name])
            return
        content = {**BOXES, **WRONG_BOXES, **ODD_BOXES}[path.name]
        if isinstance(content, dict) and 'photo' in content:
            content = {'photo.jpg': content['photo']}
        path.write_text(json.dumps(content))

    def _people(self, path: Path) -> None:
        if path.name in RAW_PEOPLE:
            path.write_bytes(RAW_PEOPLE[path.name])
            return
        content = json.loads(
            (self.folder / 'toy/annotations/person_keypoints_train.json').read_text())
        change = {'good': lambda content: None, **WRONG_PEOPLE, **ODD_PEOPLE}[path.stem[7:]]
        changed = change(content)
        path.write_text(json.dumps(content if changed is None else changed))

    def _file(self, path: Path) -> None:
        kind, _, suffix = path.name.partition('.')
        if kind == 'checkpoint':
            torch.manual_seed(0)
            torch.save(dict(state_dict=MODELS.build(self.model).state_dict()), path)
        elif kind == 'exported':
            if suffix in ('onnx', 'xml'):
                pytest.importorskip('onnxruntime' if suffix == 'onnx' else 'openvino')
            model = MODELS.build(self.model).eval()
            export(model, path)
        elif kind == 'truncated':
            whole = self.path(dict(pth='checkpoint.pth', jpg='photo', mp4='video.mp4').get(
                suffix, f'exported.{suffix}')).read_bytes()
            path.write_bytes(whole[:len(whole) // 2])
        elif kind == 'empty':
            path.write_bytes(b'')
        elif kind == 'text':
            path.write_text('this is no such file\n')
        elif kind == 'random':
            path.write_bytes(np.random.default_rng(0).bytes(3000))
        elif kind == 'photo_named':
            path.write_bytes(self.path('photo').read_bytes())
        elif kind == 'checkpoint_named':
            path.write_bytes(self.path('checkpoint.pth').read_bytes())
        elif kind == 'video':
            pytest.importorskip('av', reason='videos need PyAV')
            self._video(path)
        elif kind == 'wide':  # the checkpoint of another model
            torch.save(dict(state_dict=MODELS.build(refinepose('small')).state_dict()), path)
        elif kind == 'nan':
            weights = torch.load(self.path('checkpoint.pth'), weights_only=True)['state_dict']
            weights['backbone.pos_embed'][0, 0, 0] = NAN
            torch.save(dict(state_dict=weights), path)
        elif kind == 'list':
            torch.save([torch.zeros(3)], path)
        elif kind == 'numbers':
            torch.save(dict(state_dict={1: torch.zeros(3), 'x': 7}), path)
        elif kind == 'no_weights':
            torch.save({}, path)
        elif kind == 'pickled':
            torch.save(dict(state_dict=dict(x=Path('/'))), path)
        elif kind == 'header':  # a .safetensors that promises more than it holds
            head = json.dumps(dict(x=dict(dtype='F32', shape=[9], data_offsets=[0, 36]))).encode()
            path.write_bytes(struct.pack('<Q', len(head)) + head)
        else:
            raise ValueError(f'{path.name} is none of these files')

    def _video(self, path: Path) -> None:
        from fractions import Fraction
        writer = video.VideoWriter(path, Fraction(25), Fraction(1, 25), [])
        for number in range(4):
            image = np.full((64, 64, 3), 40 * number, np.uint8)
            writer.write(video.Frame(str(number), image, Fraction(number, 25)))
        writer.close()
