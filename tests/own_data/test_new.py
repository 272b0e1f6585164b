"""`refinepose new`: the folder that it writes trains, from anybody's joints."""

from __future__ import annotations

import errno
import json
import math
import shutil

import dirty
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.apis import init_model
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS

from refinepose_mm import cli
from refinepose_mm.checkpoints import read_checkpoint
from refinepose_mm.own_data.new import learnable, split
from refinepose_mm.own_data.recipe import (
    TABLE,
    affordable_epochs,
    choose,
    input_size,
    most_epochs,
    nearest,
    schedule,
    usual_epochs,
)
from refinepose_mm.own_data.schema import read_data
from refinepose_mm.own_data.sigmas import sigmas
from refinepose_mm.own_data.symmetry import pairs_by_name
from refinepose_mm.recipes import vitpose

TOY = ROOT / 'configs/refinepose_tiny_toy.py'
PARTS = {5: 'bolt', 6: 'lever', 9: 'rod', 12: 'hub', 15: 'foot'}  # toy joints as machine parts


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    return dirty.draw(tmp_path_factory.mktemp('toy'), train=12, val=4)


@pytest.fixture
def rewrite(toy, tmp_path):
    """Write a changed copy of the toy people's json into a folder of its own."""
    def write(change, name='data.json'):
        data = json.loads(dirty.toy_json(toy).read_text())
        data = change(data) or data
        (tmp_path / name).write_text(json.dumps(data))
        return str(tmp_path / name)
    return write


def machine(data):
    """Five joints with other names, and no left and right."""
    data['categories'] = [dict(id=3, name='press', keypoints=list(PARTS.values()))]
    for person in data['annotations']:
        points = [person['keypoints'][3 * joint:3 * joint + 3] for joint in PARTS]
        person.update(category_id=3, keypoints=sum(points, []))
        for field in ('area', 'iscrowd', 'num_keypoints'):
            del person[field]


def new(*words, code=0):
    assert cli.main(['new', *map(str, words)]) == code


def load(folder):
    """The config of a project, and what MMPose reads in its metainfo."""
    config = Config.fromfile(folder / 'config.py')
    return config, parse_pose_metainfo(dict(from_file=str(folder / 'metainfo.py')))


def test_a_project_trains_and_tests_wherever_it_is(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    new(dirty.toy_json(toy), '--val', dirty.toy_json(toy, 'val'), '--output', 'made')
    shutil.move('made', tmp_path / "moved, it's here")
    folder = tmp_path / "moved, it's here"
    assert sorted(path.name for path in folder.iterdir()) == [
        'README.md', 'config.py', 'metainfo.py', 'train.json', 'val.json']
    config, info = load(folder)
    assert info['num_keypoints'] == 17 and len(info['skeleton_links']) == 19
    assert [info['flip_indices'][joint] for joint in (0, 5, 6)] == [0, 6, 5]
    assert any(step.type == 'RandomFlip' for step in config.train_pipeline)
    assert config.model.test_cfg.flip_test
    config.merge_from_dict({'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1})
    runner = Runner.from_cfg(config)
    runner.train()
    assert {'val/coco/AP', 'val/bbox@0.05/PCK', 'val/bbox@0.1/PCK', 'val/bbox@0.2/PCK'} <= set(
        runner.message_hub.log_scalars)
    assert (folder / 'run/epoch_1.pth').is_file()
    capsys.readouterr()
    assert cli.main(['test', str(folder / 'config.py'), str(folder / 'run/epoch_1.pth')]) == 0
    assert 'bbox@0.1/PCK: ' in capsys.readouterr().out


@pytest.mark.slow
def test_its_shared_settings_are_those_of_our_configs(toy, tmp_path):
    new(dirty.toy_json(toy), '--split', .25, '--output', tmp_path / 'made')
    config, _ = load(tmp_path / 'made')
    ours = Config.fromfile(ROOT / 'configs/_base_/runtime.py')
    for key in ours:
        if key == 'default_hooks':
            made = dict(config[key], checkpoint=None)
            assert dict(ours[key], checkpoint=None) == made
            assert config[key].checkpoint.type == ours[key].checkpoint.type
        else:
            assert config[key] == ours[key], key
    assert config.model.data_preprocessor == Config.fromfile(TOY).model.data_preprocessor


def test_five_parts_of_a_machine_make_a_project_without_flips(toy, tmp_path, rewrite):
    new(rewrite(machine), '--split', .25, '--images', toy / 'train', '--output', tmp_path / 'made')
    config, info = load(tmp_path / 'made')
    assert [info['keypoint_id2name'][joint] for joint in range(5)] == list(PARTS.values())
    assert list(info['flip_indices']) == [0, 1, 2, 3, 4] and info['skeleton_links'] == []
    assert not any(step.type == 'RandomFlip' for step in config.train_pipeline)
    assert not config.model.test_cfg.flip_test and config.model.head.out_channels == 5
    train, val = (json.loads((tmp_path / f'made/{name}.json').read_text())
                  for name in ('train', 'val'))
    assert len(train['images']) + len(val['images']) == 12 and len(val['images']) == 3
    assert not {image['file_name'] for image in train['images']} & {
        image['file_name'] for image in val['images']}
    for person in (*train['annotations'], *val['annotations']):
        assert person['area'] == pytest.approx(.53 * person['bbox'][2] * person['bbox'][3])
        assert person['num_keypoints'] == sum(flag > 0 for flag in person['keypoints'][2::3]) > 0


def test_what_training_cannot_use_is_left_out(toy, tmp_path, rewrite):
    def spoil(data):
        first, second, third, *_ = data['annotations']
        first['bbox'][0] = math.nan
        second.update(keypoints=[0] * 51)
        third['keypoints'] = [.7 if index % 3 == 2 and value else value
                              for index, value in enumerate(third['keypoints'])]
        for image in data['images']:
            image['id'] = f'photo {image["id"]}'
        for person in data['annotations']:
            person['image_id'] = f'photo {person["image_id"]}'

    path = rewrite(spoil)
    new(path, '--val', dirty.toy_json(toy, 'val'), '--images', toy / 'train',
        '--output', tmp_path / 'made')
    before = json.loads((tmp_path / 'data.json').read_text())['annotations']
    after = json.loads((tmp_path / 'made/train.json').read_text())['annotations']
    assert len(after) == len(before) - 2
    assert set(after[0]['keypoints'][2::3]) <= {0, 2} and type(after[0]['image_id']) is int


def cocos(data):
    data['categories'].append(dict(id=2, name='dog', keypoints=['nose', 'tail']))


@pytest.mark.parametrize(('change', 'words', 'reason'), [
    (cocos, [], 'categories have different joints, and one model learns one list of joints: '
     'person (17); dog (2). Write a json for each'),
    (lambda data: data['categories'][0].pop('keypoints') and None, [],
     'no category names its joints; add "keypoints": [names] to categories, 17 of them'),
    (lambda data: [person.pop('keypoints') for person in data['annotations']] and None, [],
     'annotations has an image that is listed, a box and a labelled joint'),
    (None, ['--split', '.01'], '--split must leave photos on both sides, got 0.01 of 12'),
    *((None, ['--split', share], f'--split must be a share between 0 and 1, got {share}')
      for share in ('0', '1', 'nan', 'inf')),
    *((None, ['--budget', minutes], f'--budget must be above 0 minutes, got {minutes}')
      for minutes in ('0', 'nan', 'inf')),
    (None, ['--from', ''], ' not found'),
    (None, ['--images', 'nowhere'], 'folder of images nowhere not found'),
    (None, ['--from', 'none.pth'], 'none.pth'),
])
def test_what_cannot_be_learned_is_refused_and_nothing_written(
        toy, tmp_path, rewrite, capsys, change, words, reason):
    path = rewrite(change or (lambda data: None))
    split = [] if '--split' in words else ['--split', '.25']
    images = [] if '--images' in words else ['--images', toy / 'train']
    before = sorted(tmp_path.iterdir())
    new(path, *split, *images, *words, '--output', tmp_path / 'made', code=2)
    assert reason in capsys.readouterr().err.strip().splitlines()[-1]
    assert sorted(tmp_path.iterdir()) == before


def test_a_full_disk_is_named_and_leaves_nothing(toy, tmp_path, monkeypatch, capsys):
    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr('refinepose_mm.own_data.project.metainfo', full)
    new(dirty.toy_json(toy), '--split', '.25', '--output', tmp_path / 'made', code=2)
    assert (f"not written: No space left on device: '{tmp_path / 'made'}'"
            in capsys.readouterr().err.splitlines()[-1])
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_and_another_validation_are_refused(toy, tmp_path, rewrite, capsys):
    new(dirty.toy_json(toy), '--split', .25, '--output', tmp_path, code=2)
    assert f'{tmp_path} exists; name a new folder' in capsys.readouterr().err
    new(dirty.toy_json(toy), '--val', rewrite(machine), '--output', tmp_path / 'made', code=2)
    assert ('has the joints bolt, lever, rod, ..., '
            in capsys.readouterr().err)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A RefinePose checkpoint as training writes it, of the 17 toy joints."""
    torch.manual_seed(1)
    model = init_model(str(TOY), device='cpu')
    path = tmp_path_factory.mktemp('trained') / 'epoch_1.pth'
    info = dict(keypoint_id2name={joint: name for joint, name in enumerate(
        ['nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder'])})
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.add_(.01 * torch.rand_like(value))
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=info)), path)
    return path


def test_a_whole_refinepose_gives_the_rows_of_joints_it_knows(toy, tmp_path, rewrite, trained,
                                                              capsys):
    def rename(data):
        machine(data)
        data['categories'][0]['keypoints'] = ['bolt', 'Left Shoulder', 'rod', 'NOSE', 'foot']

    new(rewrite(rename), '--split', .25, '--images', toy / 'train', '--from', trained,
        '--output', tmp_path / 'made')
    assert ('encoder and head taken over, with the last layer of 2 of 5 joints by name; new: '
            'bolt, rod, foot') in capsys.readouterr().out
    old, started = read_checkpoint(trained), read_checkpoint(tmp_path / 'made/initial.pth')
    row = 'head.final_layer.weight'
    torch.testing.assert_close(started[row][1], old[row][5], rtol=0, atol=0)
    torch.testing.assert_close(started[row][3], old[row][0], rtol=0, atol=0)
    assert started[row][0].std() < .002 and started[row].shape[0] == 5
    taken = [name for name in old if name.startswith(('backbone.layers.', 'head.up_samples.'))]
    assert len(taken) > 60 and all(torch.equal(started[name], old[name]) for name in taken)
    config, _ = load(tmp_path / 'made')
    assert config.load_from == str(tmp_path / 'made/initial.pth')
    assert config.optim_wrapper.paramwise_cfg.layer_decay_rate < 1
    assert config.optim_wrapper.optimizer.lr == pytest.approx(TABLE['tiny'].lr / 5)
    assert dict(config.model.backbone.arch)['embed_dims'] == 128


@pytest.mark.parametrize('shortcut', ['gated', 'none'])
def test_shortcuts_are_those_of_the_source(toy, tmp_path, trained, shortcut):
    weights = read_checkpoint(trained)
    if shortcut == 'gated':
        weights['backbone.gates'] = torch.tensor([.5])
    source = tmp_path / 'source.pth'
    torch.save(dict(state_dict=weights, meta=dict(shortcut=shortcut)), source)
    new(dirty.toy_json(toy), '--split', .25, '--from', source, '--output', tmp_path / 'made')
    config, _ = load(tmp_path / 'made')
    assert config.model.backbone.shortcut == shortcut
    if shortcut == 'gated':
        started = read_checkpoint(tmp_path / 'made/initial.pth')
        assert started['backbone.gates'].tolist() == [.5]


def test_an_encoder_alone_starts_the_backbone(toy, tmp_path, trained, capsys):
    encoder = tmp_path / 'encoder.pth'
    torch.save({name: value for name, value in read_checkpoint(trained).items()
                if name.startswith('backbone.')}, encoder)
    new(dirty.toy_json(toy), '--split', .25, '--from', encoder, '--output', tmp_path / 'made')
    assert f'from the encoder of {encoder}; the head is new' in capsys.readouterr().out
    config, _ = load(tmp_path / 'made')
    assert config.model.backbone.init_cfg.checkpoint == str(encoder) and not config.load_from
    new(dirty.toy_json(toy), '--split', .25, '--from', encoder, '--arch', 'base',
        '--output', tmp_path / 'other', code=2)
    assert 'leave --arch out' in capsys.readouterr().err


@pytest.mark.parametrize('whole', [True, False])
def test_a_vitpose_is_better_transplanted_first(toy, tmp_path, capsys, whole):
    init_default_scope('mmpose')
    arch = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
    weights = MODELS.build(vitpose(arch, (64, 48), 5)).state_dict()
    weights = {name: value for name, value in weights.items()
               if whole or name.startswith('backbone.')}
    torch.save(weights, tmp_path / 'vitpose.pth')
    new(dirty.toy_json(toy), '--split', .25, '--from', tmp_path / 'vitpose.pth', '--num-heads', 4,
        '--output', tmp_path / 'made')
    assert ('`refinepose transplant` first' in capsys.readouterr().out) == whole


def test_versions_of_one_photo_stay_on_one_side(toy, rewrite):
    def export(data):
        for number, image in enumerate(data['images']):
            image['file_name'] = f'photo{number // 3}_jpg.rf.{number:032x}.jpg'

    data = learnable(read_data(rewrite(export)))
    held_out = split(data, .5)
    assert held_out.reshape(4, 3).all(1).tolist() == held_out.reshape(4, 3).any(1).tolist()
    assert held_out.sum() == 6 and (held_out == split(data, .5)).all()


def one_person(joints, boxes, area=None):
    """Content of a json of persons on one photo each."""
    names = [f'joint {index}' for index in range(len(joints[0]))]
    persons = [dict(id=index, image_id=index, category_id=1, bbox=list(map(float, box)),
                    area=float(area or box[2] * box[3]),
                    keypoints=np.hstack([points, np.full((len(points), 1), 2.)]).ravel().tolist())
               for index, (points, box) in enumerate(zip(joints, boxes))]
    return dict(images=[dict(id=index, file_name=f'{index}.jpg', width=500, height=500)
                        for index in range(len(persons))], annotations=persons,
                categories=[dict(id=1, name='any', keypoints=names)])


def test_the_input_has_the_median_shape_of_the_boxes(rewrite):
    def data(*shapes):
        return read_data(rewrite(lambda _: one_person(
            [[[1., 1.]]] * len(shapes), [(0, 0, *shape) for shape in shapes])))

    assert input_size(data((50, 50)), 96 * 96) == (96, 96)
    assert input_size(data((10, 20), (30, 40), (300, 40)), 256 * 192) == (192, 256)
    assert input_size(data((10, 400)), 96 * 96) == (64, 128)  # at most 1:2


def test_sigmas_follow_the_nearest_joint_unless_they_are_measured(rewrite):
    rng = np.random.default_rng(0)
    joints = np.array([[50, 50], [60, 50], [50, 90]]) + np.zeros((40, 1, 1))
    content = one_person(joints, [(0, 0, 100, 100)] * 40)
    data = read_data(rewrite(lambda _: content))
    values, origin = sigmas(data, pairs_by_name(data.names))
    assert values == [.04, .04, .107] and origin.startswith('by rule')

    # Each person again, by somebody whose placing deviates by 1, 2 and 3 pixels in x and in y.
    twice = one_person(np.concatenate([joints, joints]) + rng.normal(
        size=(80, 3, 2)) * np.array([1, 2, 3])[:, None], [(0, 0, 100, 100)] * 80)
    for person in twice['annotations'][40:]:
        person['image_id'] -= 40
    data = read_data(rewrite(lambda _: twice))
    values, origin = sigmas(data, pairs_by_name(data.names))
    assert origin.startswith('measured')
    # The distance of an annotation from the truth, in x and y: sqrt(2) pixels of 100 for the first.
    np.testing.assert_allclose(values, math.sqrt(2) * np.array([.01, .02, .03]), rtol=.25)


def test_two_persons_side_by_side_are_not_one_annotated_twice(rewrite):
    joints = np.array([[50, 50], [60, 50], [50, 90]]) + np.zeros((40, 1, 1))
    joints[20:] += 20
    content = one_person(joints, [(0, 0, 100, 100)] * 40)
    for person in content['annotations'][20:]:
        person['image_id'] -= 20
    data = read_data(rewrite(lambda _: content))
    assert sigmas(data, pairs_by_name(data.names)).origin.startswith('by rule')


def test_the_recipe_follows_size_and_budget():
    assert choose('auto', has_gpu=False) is TABLE['narrow']
    assert choose('auto', has_gpu=True) is TABLE['small']
    assert nearest(96, 8) is TABLE['narrow'] and nearest(768, 12) is TABLE['base']
    assert nearest(512, 12) is TABLE['small']
    assert usual_epochs(TABLE['narrow'], 141, most_epochs(141, False)) == 36
    assert usual_epochs(TABLE['narrow'], 2, most_epochs(2, False)) == 150
    # From a whole RefinePose: at least 100 steps, at most 50 epochs.
    assert [most_epochs(steps, True) for steps in (1, 2, 7)] == [100, 50, 50]
    assert schedule(36, 141) == (36, 6, 500)
    assert schedule(4.7, 141) == (4, 1, int(.3 * 4 * 141)) and schedule(.2, 10) == (1, 1, 3)
    # 180 seconds less a tenth and 20: 142, of which 6 validations of 2 seconds.
    assert affordable_epochs(180, epoch=10, validation=2, most=150) == 13
    assert affordable_epochs(180, epoch=60, validation=11, most=150) == 2
    assert affordable_epochs(180, epoch=10, validation=2, most=9) == 9


def test_a_strangers_json_makes_the_project_that_was_written_by_hand(photos, tmp_path, capsys):
    """Swaps, skeleton and shape of projects/lspet, from its json alone."""
    lspet = photos / 'lspet'
    new(lspet / 'lspet_val.json', '--split', .2, '--images', lspet / 'val',
        '--output', tmp_path / 'made', '--budget', 3)
    assert '400 persons to learn from, 100 to validate on; 14 joints, 6 pairs' in (
        capsys.readouterr().out)
    _, made = load(tmp_path / 'made')
    by_hand = parse_pose_metainfo(dict(from_file=str(ROOT / 'projects/lspet/metainfo.py')))
    assert made['keypoint_id2name'] == by_hand['keypoint_id2name']
    assert made['flip_indices'] == by_hand['flip_indices']
    # The json's skeleton joins the shoulders, too.
    assert {frozenset(link) for link in made['skeleton_links']} >= {
        frozenset(link) for link in by_hand['skeleton_links']}


def test_animals_of_several_categories_share_their_joints(photos, tmp_path):
    new(photos / 'mmpose_samples/ap10k/test_ap10k.json', '--split', .5,
        '--output', tmp_path / 'made')
    config, info = load(tmp_path / 'made')
    assert info['num_keypoints'] == 17 and config.model.head.out_channels == 17
    assert json.loads((tmp_path / 'made/val.json').read_text())['categories'][0]['name'] == 'any'
