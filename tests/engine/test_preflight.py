"""What a run would trip over is said before it starts, all of it, and nothing else is."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from torch import nn

from refinepose_mm.datasets import toy_people
from refinepose_mm.engine.fitting import compare_weights
from refinepose_mm.engine.preflight import PreflightHook, key_problems, problems_of

CONFIGS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('configs/*.py'))
TRAIN, VAL = (f'annotations/person_keypoints_{split}.json' for split in ('train', 'val'))


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp('toy')
    toy_people.generate(root, num_train=3, num_val=2)
    return root


@pytest.fixture
def config(toy, tmp_path, monkeypatch):
    """A config that is all right, on annotations that a test may change."""
    monkeypatch.setenv('TOY_ROOT', str(toy))
    config = Config.fromfile(ROOT / 'configs/refinepose_tiny_toy.py')
    for mode, path in (('train', TRAIN), ('val', VAL), ('test', VAL)):
        copy = tmp_path / Path(path).name
        copy.write_bytes((toy / path).read_bytes())
        config[f'{mode}_dataloader'].dataset.ann_file = str(copy)
    config.val_evaluator.ann_file = config.test_evaluator.ann_file = str(
        tmp_path / Path(VAL).name)
    config.work_dir = str(tmp_path / 'run')
    return config


def change(config, mode, edit):
    """Edit the annotations of a mode."""
    path = Path(config[f'{mode}_dataloader'].dataset.ann_file)
    content = json.loads(path.read_text())
    edited = edit(content)
    path.write_text(json.dumps(content if edited is None else edited))
    return str(path)


def without(table, field):
    def edit(content):
        for row in content[table]:
            del row[field]
    return edit


def detections(config, tmp_path, *changes, content=None):
    """A file of detections for validation, each like a good one but for its changes."""
    image = json.loads(Path(config.val_dataloader.dataset.ann_file).read_text())['images'][0]['id']
    good = dict(image_id=image, category_id=1, bbox=[10., 10., 50., 90.], score=.9)
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps([{**good, **one} for one in changes] if content is None
                               else content))
    config.val_dataloader.dataset.bbox_file = str(path)
    return str(path)


def test_nothing_is_wrong_with_a_good_config(config, tmp_path):
    assert problems_of(config) == []
    detections(config, tmp_path, {})
    assert problems_of(config) == []


@pytest.mark.parametrize('path', CONFIGS)
def test_no_config_of_ours_has_a_key_that_looks_mistyped(path):
    assert key_problems(Config.fromfile(ROOT / path)) == []


@pytest.mark.parametrize('mode, table, field, words', [
    ('train', 'annotations', 'id', '{n} of {n} annotations have no id'),
    ('train', 'annotations', 'image_id', '{n} of {n} annotations have no image_id'),
    ('train', 'annotations', 'category_id', '{n} of {n} annotations have no category_id'),
    ('train', 'images', 'file_name', '3 of 3 images have no file_name'),
    ('train', 'images', 'width', '3 of 3 images have no width'),
    ('val', 'annotations', 'area', '{n} of {n} annotations have no area, which CocoMetric needs '
     'unless use_area=False'),
    ('val', 'annotations', 'keypoints', '{n} of {n} annotations have no keypoints'),
    ('val', 'annotations', 'bbox', '{n} of {n} annotations have no bbox'),
])
def test_fields_that_are_missing(config, mode, table, field, words):
    """MMEngine: KeyError, of area and keypoints at the end of the first validation."""
    path = change(config, mode, without(table, field))
    count = len(json.loads(Path(path).read_text())['annotations'])
    assert f'{path}: {words.format(n=count)}' in problems_of(config)


NAN = float('nan')
BOX, KEYPOINTS = 'bbox that is not 4 numbers up to 1e+06', 'keypoints that is not a list of finite'


@pytest.mark.parametrize('mode, table, values, words', [
    ('val', 'annotations', dict(bbox=[NAN] * 4), f'1 of {{n}} annotations have {BOX}'),
    ('train', 'annotations', dict(bbox=[0, 0, NAN, 9]), f'1 of {{n}} annotations have {BOX}'),
    ('train', 'annotations', dict(bbox=[0, 0, 10**400, 9]), f'1 of {{n}} annotations have {BOX}'),
    ('train', 'annotations', dict(bbox=['0', 0, 9, 9]), f'1 of {{n}} annotations have {BOX}'),
    ('train', 'annotations', dict(bbox=[]), f'1 of {{n}} annotations have {BOX}'),
    ('train', 'annotations', dict(keypoints=[NAN, 9, 2] * 17), KEYPOINTS),
    ('val', 'annotations', dict(keypoints=['9', '9', '2'] * 17), KEYPOINTS),
    ('val', 'annotations', dict(keypoints='9'), KEYPOINTS),
    ('val', 'annotations', dict(area=NAN), 'area that is not a finite number, which CocoMetric'),
    ('val', 'annotations', dict(area='9'), 'area that is not a finite number, which CocoMetric'),
    ('train', 'images', dict(width=None), '1 of 3 images have width that is no positive'),
    ('val', 'images', dict(height='240'), '1 of 2 images have height that is no positive'),
    ('val', 'images', dict(id='1'), '1 of 2 images have id that is no integer'),
])
def test_values_that_are_none(config, mode, table, values, words):
    """MMPose: a wrong AP, as NaN compares with nothing, or an error in the middle of the run."""
    path = change(config, mode, lambda content: content[table][0].update(values))
    count = len(json.loads(Path(path).read_text())['annotations'])
    assert any(f'{path}: ' in problem and words.format(n=count) in problem
               for problem in problems_of(config)), problems_of(config)


@pytest.mark.parametrize('mode, table', [('train', 'annotations'), ('val', 'annotations'),
                                         ('train', 'images'), ('val', 'images')])
def test_ids_that_repeat(config, mode, table):
    """COCO's index keeps the last one, and the others are that one, too."""
    path = change(config, mode, lambda content: content[table][1].update(
        id=content[table][0]['id']))
    count = len(json.loads(Path(path).read_text())[table])
    assert f'{path}: 1 of {count} {table} have the id of another one' in problems_of(config)


def test_persons_of_a_category_that_is_not_listed(config):
    """COCO's evaluation: an AP of -1."""
    path = change(config, 'val', lambda content: content['categories'][0].update(id=7))
    problem, = problems_of(config)
    assert problem.startswith(f'{path}: none of ') and 'the id of a listed category' in problem


def test_area_is_not_needed_in_training_nor_without_use_area(config):
    change(config, 'train', without('annotations', 'area'))
    assert problems_of(config) == []
    change(config, 'val', without('annotations', 'area'))
    config.val_evaluator.use_area = config.test_evaluator.use_area = False
    assert problems_of(config) == []


@pytest.mark.parametrize('mode, name', [
    ('train', 'images'), ('train', 'annotations'), ('val', 'categories')])
def test_tables_that_are_missing(config, mode, name):
    path = change(config, mode, lambda content: {
        key: value for key, value in content.items() if key != name})
    assert f'{path} has no {name}' in problems_of(config)


@pytest.mark.parametrize('content, words', [
    ('{"images": [', 'is not json: Expecting value: line 1 column 13 (char 12)'),
    ('[' * 100_000, 'is not json: '),
    ('[1, 2]', 'must be an object with images, annotations and categories, got a list'),
    ('{"images": [], "annotations": [], "categories": []}', 'lists no images'),
])
def test_files_that_are_no_annotations(config, content, words):
    path = Path(config.train_dataloader.dataset.ann_file)
    path.write_text(content)
    assert any(problem.startswith(f'{path}') and words in problem
               for problem in problems_of(config))


def test_training_without_a_single_usable_person(config):
    """MMEngine: need at least one array to concatenate."""
    def edit(content):
        for annotation in content['annotations']:
            annotation['num_keypoints'] = 0
    path = change(config, 'train', edit)
    assert any(problem.startswith(f'{path}: none of ') for problem in problems_of(config))


def test_numbers_of_keypoints_that_differ(config):
    """torch: the size of tensor a (17) must match."""
    def edit(content):
        for annotation in content['annotations']:
            annotation['keypoints'] = annotation['keypoints'][:42]
    path = change(config, 'train', edit)
    config.model.head.out_channels = 14
    problems = problems_of(config)
    assert any(problem.startswith(f'{path}: ') and
               '42 numbers in keypoints, expected 3 x 17 of the metainfo' in problem
               for problem in problems)
    for mode in ('train', 'val', 'test'):
        assert (f'model.head.out_channels gives 14 keypoints, the metainfo of {mode}_dataloader '
                'has 17') in problems


def test_offsets_beside_heatmaps_are_no_mistake(config):
    config.model.head.out_channels = 3 * 17
    config.model.head.decoder = dict(type='UDPHeatmap', input_size=(96, 128),
                                     heatmap_size=(24, 32), heatmap_type='combined')
    config.model.test_cfg.flip_mode = 'udp_combined'
    assert problems_of(config) == []
    config.model.test_cfg.flip_mode = 'heatmap'
    problem = ("model.test_cfg.flip_mode is 'heatmap', but the heatmaps of model.head.decoder are "
               "combined with offsets; set it to 'udp_combined'")
    assert problems_of(config) == [problem]
    config.model.test_cfg.flip_test = False
    assert problems_of(config) == []


@pytest.mark.parametrize('mode, problem', [
    ('udp_combined', "is 'udp_combined', but the heatmaps of model.head.decoder are plain; set it "
                     "to 'heatmap'"),
    ('mirror', "must be one of heatmap, udp_combined, offset, got 'mirror'")])
def test_a_flip_test_of_other_heatmaps(config, mode, problem):
    """MMPose ends in an error of shapes, or with other keypoints."""
    config.model.test_cfg.flip_mode = mode
    assert problems_of(config) == [f'model.test_cfg.flip_mode {problem}']
    assert problems_of(config, ['train']) == []


@pytest.mark.parametrize('metainfo, words', [
    (dict(from_file='none.py'), 'The metainfo config file "none.py" does not exist.'),
    (dict(dataset_name='x'), 'metainfo has no keypoint_info, skeleton_info, joint_weights, sigmas'),
    (dict(dataset_name='x', keypoint_info={0: dict(name='nose', swap='')}, skeleton_info={},
          joint_weights=[1.], sigmas=[.1, .1]),
     'metainfo has 1 keypoints in keypoint_info and 2 in sigmas'),
    (dict(dataset_name='x', keypoint_info={0: dict(name='nose', swap='chin')}, skeleton_info={},
          joint_weights=[1.], sigmas=[.1]), "metainfo is broken: KeyError 'chin'"),
])
def test_broken_metainfo(config, metainfo, words):
    """MMPose: an empty AssertionError, a KeyError, or nothing at all."""
    config.train_dataloader.dataset.metainfo = metainfo
    problem, = [line for line in problems_of(config) if line.startswith('train_dataloader.')]
    assert words in problem


def test_sigmas_may_be_missing_where_no_metric_needs_them(config):
    """As in MMPose's metainfo of OneHand10K and WFLW."""
    metainfo = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    joints = {index: dict(name=name, swap='') for index, name in
              metainfo['keypoint_id2name'].items()}
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.dataset.metainfo = dict(dataset_name='x', keypoint_info=joints, skeleton_info={},
                                       joint_weights=[1.] * 17, sigmas=[])
    assert problems_of(config, ['train']) == []
    assert problems_of(config, ['val']) == [
        'val_dataloader.dataset: metainfo has no sigmas, which CocoMetric needs']
    config.val_evaluator = dict(type='PCKAccuracy')
    assert problems_of(config, ['val']) == []


def test_joints_in_several_lists_are_not_counted(config):
    """COCO-WholeBody's annotations: 17 joints in keypoints, and 116 elsewhere."""
    config.model.head.out_channels = 133
    config.train_dataloader.dataset.type = 'CocoWholeBodyDataset'
    assert problems_of(config, ['train']) == []


@pytest.mark.parametrize('changes, words', [
    ([{}, dict(image_id=785)], '1 of 2 persons are in images that {ann_file} does not list, such '
     'as 785'),
    ([dict(category_id=7)], 'none of 1 detections is of category 1, person; got 7'),
    ([dict(bbox=[float('nan')] * 4), {}], '1 of 2 boxes are not 4 numbers up to 1e+06'),
    ([dict(bbox=[0, 0, 1e30, 9])], '1 of 1 boxes are not 4 numbers up to 1e+06'),
    ([dict(bbox=[0, 0, 10**400, 9])], '1 of 1 boxes are not 4 numbers up to 1e+06'),
    ([dict(score=float('nan')), {}], '1 of 2 scores are no finite numbers'),
    ([dict(score=10**400)], '1 of 1 scores are no finite numbers'),
    ([dict(score=None)], '1 of 1 scores are no finite numbers'),
    ([dict(bbox=[1, 2, 3])], '1 of 1 boxes are not 4 numbers up to 1e+06'),
    ([], 'none of 0 detections is of category 1, person; got none'),
])
def test_detections_that_do_not_fit(config, tmp_path, changes, words):
    """MMPose: KeyError 785, need at least one array to concatenate, or a wrong AP."""
    path = detections(config, tmp_path, *changes)
    ann_file = config.val_dataloader.dataset.ann_file
    assert problems_of(config) == [f'bbox_file {path}: {words.format(ann_file=ann_file)}']


@pytest.mark.parametrize('content, words', [
    ({}, 'must be a list of detections'), ([1], 'must be a list of detections'),
    ([dict(image_id=1)], '1 of 1 detections have no category_id')])
def test_files_that_are_no_detections(config, tmp_path, content, words):
    path = detections(config, tmp_path, content=content)
    assert any(problem.startswith(f'bbox_file {path}') and words in problem
               for problem in problems_of(config))


def test_files_that_are_not_there(config):
    config.train_dataloader.dataset.ann_file = '/none/train.json'
    config.val_dataloader.dataset.bbox_file = '/none/boxes.json'
    config.val_evaluator.ann_file = '/none/val.json'
    config.test_dataloader.dataset.data_prefix.img = 'nowhere/'
    config.model.backbone.init_cfg = dict(type='EncoderWeights', checkpoint='/none/mae.pth')
    config.load_from = '/none/other.pth'
    root = config.data_root
    assert problems_of(config) == [
        'load_from: checkpoint /none/other.pth not found',
        'model.backbone.init_cfg.checkpoint: checkpoint /none/mae.pth not found',
        'train_dataloader.dataset: /none/train.json not found',
        'val_dataloader.dataset: bbox_file /none/boxes.json not found',
        'val_evaluator: /none/val.json not found',
        f'test_dataloader.dataset: folder of images {root}/nowhere/ not found']
    # A test initialises nothing and needs no training data.
    assert [problem.partition(':')[0] for problem in problems_of(config, ['test'])] == [
        'load_from', 'test_dataloader.dataset']


def test_a_run_cannot_go_on_from_everything(config, tmp_path):
    config.load_from, config.resume = str(tmp_path / 'x.pth'), True
    Path(config.load_from).write_text('no checkpoint')
    assert problems_of(config) == ['resume: x.pth is incomplete']
    torch.save(dict(state_dict={}), config.load_from)
    assert problems_of(config) == ['resume: x.pth has no meta, message_hub to resume from']
    config.resume = False
    assert problems_of(config) == []


class Code:
    def __reduce__(self):
        return eval, ('1', )


@pytest.mark.parametrize('content, reason', [
    (Code(), 'it wants to load eval, which is refused'), (None, '')])
def test_what_cannot_be_read_is_said_without_advice_to_execute_it(
        config, tmp_path, content, reason):
    """torch's own error advises weights_only=False."""
    config.load_from = str(tmp_path / 'x.pth')
    if content is None:
        Path(config.load_from).write_text('no checkpoint')
    else:
        torch.save(content, config.load_from)
    for mode in ('train', 'test'):
        problem, = problems_of(config, [mode])
        assert problem.startswith('load_from: x.pth cannot be read (') and reason in problem
        assert 'weights_only' not in problem
    torch.save(dict(state_dict={}), config.load_from, _use_new_zipfile_serialization=False)
    assert problems_of(config) == []  # files of torch before 1.6


def test_parts_that_a_model_lacks(config):
    del config.model['data_preprocessor'], config.model.head['decoder']
    expected = ['model has no data_preprocessor, so images would stay bytes',
                'model.head has no decoder, so its heatmaps cannot be evaluated']
    assert problems_of(config) == expected
    assert problems_of(config, ['train']) == expected[:1]


@pytest.mark.parametrize('field', ['model', 'train_dataloader.dataset'])
def test_words_in_the_place_of_tables(config, field):
    config.merge_from_dict({field: 'coco'})
    assert problems_of(config) == [f'{field} must be a dict, got str']


def test_a_pipeline_without_steps(config):
    config.val_dataloader.dataset.pipeline = []
    assert problems_of(config) == ['val_dataloader.dataset.pipeline is empty']


def test_a_url_is_not_looked_at(config):
    config.model.backbone.init_cfg = dict(type='EncoderWeights', checkpoint='https://host/x.pth')
    assert problems_of(config) == []


def test_the_last_image_is_looked_for(config):
    def edit(content):
        content['images'][-1]['file_name'] = 'gone.jpg'
    path = change(config, 'train', edit)
    assert problems_of(config) == [
        f'train_dataloader.dataset: image {config.data_root}/train/gone.jpg of {path} not found']


def test_an_evaluator_of_other_images(config):
    """xtcocotools: Results do not correspond to current coco set, at the first validation."""
    other = config.train_dataloader.dataset.ann_file
    def edit(content):
        for image in content['images']:
            image['id'] += 500
        for annotation in content['annotations']:
            annotation['image_id'] += 500
    change(config, 'train', edit)
    config.val_evaluator.ann_file = other
    images = config.val_dataloader.dataset.ann_file
    problem, = problems_of(config, ['val'])
    assert problem.startswith(f'val_evaluator: {other} lacks 2 of the images of {images}')


def test_each_part_of_combined_data_sets(config):
    good = config.train_dataloader.dataset
    broken = Config(dict(good)).copy()
    broken.ann_file = '/none/aic.json'
    config.train_dataloader.dataset = dict(
        type='CombinedDataset', metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        datasets=[dict(good), dict(type='RepeatDataset', times=2, dataset=broken.to_dict())])
    assert problems_of(config) == [
        'train_dataloader.dataset.datasets.1.dataset: /none/aic.json not found']


def test_a_data_set_that_nobody_registered(config):
    config.train_dataloader.dataset.type = 'CocoDataSet'
    assert ('train_dataloader.dataset.type: no data set CocoDataSet is registered'
            in problems_of(config))


def test_workers_that_persist_without_being_there(config):
    config.val_dataloader.update(num_workers=0, persistent_workers=True)
    assert problems_of(config) == ['val_dataloader.persistent_workers=True needs num_workers of at '
                                   'least 1, got 0; set it to False']


def test_devices_that_are_not_there(config, monkeypatch):
    config.optim_wrapper.type = 'AmpOptimWrapper'
    config.launcher = 'pytorch'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert problems_of(config) == [
        'mixed precision (--amp, AmpOptimWrapper) needs a GPU, none is found',
        'launcher pytorch with backend nccl needs GPUs, none is found']
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert problems_of(config) == []


@pytest.mark.parametrize('key, near', [
    ('modl', 'model'), ('optim_wraper', 'optim_wrapper'), ('train_dataloder', 'train_dataloader'),
    ('defualt_hooks', 'default_hooks'), ('load_form', 'load_from')])
def test_keys_that_look_mistyped(config, key, near):
    config.merge_from_dict({f'{key}.x': 1})
    assert problems_of(config) == [f'{key} is read by nobody; {near}?']


@pytest.mark.parametrize('key', ['train_dataloader_small', 'models', 'my_root', 'cfg', 'boxes'])
def test_variables_are_no_mistyped_keys(config, key):
    config[key] = 1
    assert problems_of(config) == []


def runner(config):
    config.log_level = 'ERROR'
    for mode in ('train', 'val', 'test'):
        if config[f'{mode}_dataloader']:
            config[f'{mode}_dataloader'].update(num_workers=0, persistent_workers=False)
    config.train_cfg.max_epochs = 1
    return Runner.from_cfg(config)


@pytest.mark.parametrize('method', ['train', 'val', 'test'])
def test_a_run_is_refused_before_its_data_sets_are_built(config, method, monkeypatch):
    monkeypatch.setattr(Runner, 'build_dataloader', lambda *_, **__: pytest.fail('too late'))
    config.modl = dict()
    config.load_from = '/none.pth'
    with pytest.raises(ValueError, match=r'^2 problems: \(1\) modl is read by nobody; model\?; '
                                         r'\(2\) load_from: checkpoint /none.pth not found$'):
        getattr(runner(config), method)()


def test_training_without_validation_needs_no_validation_data(config):
    config.val_dataloader.dataset.ann_file = '/none.json'
    for name in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        config[name] = None
    runner(config).train()


def test_runs_without_the_hook_are_left_alone(config):
    config.custom_hooks = [hook for hook in config.custom_hooks if hook.type != 'PreflightHook']
    config.modl = dict()
    config.load_from = '/none.pth'
    with pytest.raises(FileNotFoundError):
        runner(config).test()


def test_compare_weights_counts_and_names():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 4))
    weights = {f'module.{name}': value for name, value in model.state_dict().items()}
    assert compare_weights(model, weights) == (4, '')
    del weights['module.0.bias']
    weights['module.1.weight'] = torch.zeros(4, 5)
    weights['head'] = torch.zeros(1)
    assert compare_weights(model, weights) == (2, (
        '2 of 4 tensors of the model fit; 1 missing: 0.bias; 1 unknown: head; 1 of another shape: '
        '1.weight (4, 5) in place of (4, 3)'))


@pytest.mark.parametrize('dtype, fits', [
    (torch.float16, True), (torch.bfloat16, True), (torch.float64, True),
    (torch.int8, False), (torch.complex64, False), (torch.bool, False)])
def test_another_kind_of_numbers_does_not_fit(dtype, fits):
    """torch would round, or drop the imaginary part, without a word."""
    model = nn.Linear(2, 2)
    weights = {**model.state_dict(), 'bias': torch.ones(2, dtype=dtype)}
    assert compare_weights(model, weights) == ((2, '') if fits else (1, (
        f'1 of 2 tensors of the model fit; 1 of another kind of numbers: bias {dtype} in place of '
        'torch.float32')))


def save(config, tmp_path, edit):
    run = runner(config)
    weights = run.model.state_dict()
    edit(weights)
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict=weights), path)
    run._load_from = str(path)
    return run


def test_a_test_refuses_a_checkpoint_that_does_not_fit(config, tmp_path):
    """MMEngine logs it and evaluates random weights."""
    run = save(config, tmp_path, lambda weights: weights.popitem())
    with pytest.raises(ValueError, match='other.pth is not of this config: .* 1 missing: '):
        run.test()


def test_training_may_start_from_a_part(config, tmp_path, caplog):
    run = save(config, tmp_path, lambda weights: weights.popitem())
    run.logger.addHandler(caplog.handler)
    run.logger.setLevel(logging.WARNING)
    run.train()
    assert 'other.pth is not of this config' in caplog.text and '1 missing: ' in caplog.text


def test_training_refuses_a_start_of_which_nothing_fits(config, tmp_path):
    def rename(weights):
        for name in list(weights):
            weights[f'net.{name}'] = weights.pop(name)
    with pytest.raises(ValueError, match='other.pth is not of this config: 0 of '):
        save(config, tmp_path, rename).train()


def test_a_checkpoint_with_nan_is_neither_tested_nor_trained_on():
    model = nn.Linear(2, 2)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    weights['bias'][0] = float('nan')
    runner = SimpleNamespace(model=model, _load_from='nan.pth', _resume=False)
    with pytest.raises(ValueError, match=r'nan.pth has 1 tensors that are not finite \(bias\)'):
        PreflightHook().after_load_checkpoint(runner, dict(state_dict=weights))


@pytest.mark.parametrize('checkpoint', [
    [torch.zeros(2)], dict(state_dict={7: torch.zeros(2)}), dict(state_dict=dict(bias='text')),
    dict(state_dict=dict(bias=torch.zeros(1).expand(2))),
    dict(state_dict=dict(bias=torch.zeros(2, device='meta'))),
    dict(state_dict=dict(bias=torch.zeros(2).to_sparse()))])
def test_a_checkpoint_that_is_no_table_of_tensors_is_not_tested(checkpoint):
    runner = SimpleNamespace(model=nn.Linear(2, 2), _load_from='odd.pth', _resume=False)
    with pytest.raises(ValueError, match='odd.pth holds no table of tensors'):
        PreflightHook().after_load_checkpoint(runner, checkpoint)
