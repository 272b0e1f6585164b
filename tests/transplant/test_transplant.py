"""A tiny ViTPose becomes a RefinePose that computes nearly the same, on toy people."""

import json

import pytest
import torch
import torch.nn.functional as F
from mmpose.registry import MODELS

from refinepose_mm.checkpoints import open_checkpoint, write_checkpoint
from refinepose_mm.cli import main
from refinepose_mm.datasets.toy_people import generate
from refinepose_mm.recipes import refinepose, vitpose
from refinepose_mm.transplant import loop
from refinepose_mm.transplant.crops import Crops, find_persons
from refinepose_mm.transplant.loop import Plan, compare, transplant
from refinepose_mm.transplant.losses import distances, equal_peaks
from refinepose_mm.transplant.models import build_source, build_target, learning, see
from refinepose_mm.weights.source import describe

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
SIZE = (64, 48)


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'toy'
    generate(folder, 24, 1)
    return folder


def teacher(head='classic', **widths):
    """A ViTPose whose patch embedding is smooth, as trained ones are."""
    torch.manual_seed(0)
    model = MODELS.build(vitpose(ARCH, SIZE, 5, head, **widths))
    model.init_weights()
    with torch.no_grad():
        filters = model.backbone.patch_embed.projection.weight
        filters.copy_(F.interpolate(torch.randn(32, 3, 4, 4) / 30, 16, mode='bilinear'))
        for name, value in model.named_parameters():
            if 'layers.' in name and value.ndim > 1 or 'final_layer' in name:
                value.normal_(std=.05)
    return model.eval()


def saved(folder, model, name='vitpose.pth'):
    write_checkpoint(folder / name, dict(model.state_dict()), dict(num_heads=4))
    return folder / name


def source_of(path):
    return describe(*open_checkpoint(path)[:1], str(path), num_heads=4)


def crops_of(toy, seed=0):
    boxes = toy / 'annotations/person_keypoints_train.json'
    return Crops(find_persons(toy / 'train', boxes), SIZE, seed)


@pytest.mark.parametrize('head', ['keep', 'fusion'])
def test_tokens_and_heatmaps_approach_the_source(toy, tmp_path, head):
    source = source_of(saved(tmp_path, teacher()))
    ours, theirs = build_target(source, SIZE, head, seed=0)[0], build_source(source, SIZE)
    crops = crops_of(toy)
    before = compare(theirs, ours, crops.held_out_batch())
    frozen = {name: value.clone() for name, value in ours.state_dict().items()
              if not name.startswith(('backbone.patch_embed', *(['head'] * (head == 'fusion'))))}
    lines = []
    after = transplant(theirs, ours, crops, Plan(80, 8, 2e-2, head, 0), tmp_path / 'state',
                       False, lines.append)
    assert after.distances.tokens < .6 * before.distances.tokens
    assert after.distances.features < .6 * before.distances.features
    assert after.distances.heatmaps < .6 * before.distances.heatmaps
    assert len(lines) == loop.REPORTS - 1 and lines[0].startswith('step 8 of 80: tokens ')
    for name, value in frozen.items():  # the encoder is the source's, gates at 0
        assert torch.equal(ours.state_dict()[name], value), name
    assert not ours.backbone.gates.any() and ours.backbone.shortcut == 'gated'
    for name in ('layers.3.attn.qkv.weight', 'pos_embed'):
        assert torch.equal(ours.backbone.state_dict()[name], theirs.backbone.state_dict()[name])


@torch.no_grad()
def test_a_stem_that_gives_the_sources_tokens_gives_its_heatmaps(tmp_path):
    """What the losses aim at: with gates at 0 and the head kept, nothing else differs."""
    narrow = teacher(deconv_channels=(24, 16))
    for model in (teacher('classic'), teacher('simple'), narrow):
        source = source_of(saved(tmp_path, model))
        ours, theirs = build_target(source, SIZE, 'keep', seed=0)[0], build_source(source, SIZE)
        ours.backbone.patch_embed = theirs.backbone.patch_embed
        images = torch.rand(2, 3, *SIZE) * 255
        found, expected = see(ours.eval(), images), see(theirs, images)
        assert all(value < 1e-9 for value in distances(found, expected))
        assert equal_peaks(found.heatmaps, expected.heatmaps) == 1


def test_resumed_runs_end_as_uninterrupted_ones(toy, tmp_path, monkeypatch):
    source = source_of(saved(tmp_path, teacher()))
    theirs, plan = build_source(source, SIZE), Plan(6, 4, 1e-3, 'fusion', 3)

    def learn(resume=False):
        ours = build_target(source, SIZE, 'fusion', seed=3)[0]
        transplant(theirs, ours, crops_of(toy, 3), plan, tmp_path / 'state', resume, lambda _: 0)
        return ours.state_dict()

    expected = learn()
    monkeypatch.setattr(loop, 'SAVE_EVERY', -1)
    step, count = loop._step, iter(range(100))

    def stopped(*args):
        if next(count) == 4:
            raise KeyboardInterrupt
        return step(*args)

    monkeypatch.setattr(loop, '_step', stopped)
    with pytest.raises(KeyboardInterrupt):
        learn()
    assert (tmp_path / 'state').is_file()
    monkeypatch.setattr(loop, '_step', step)
    for name, value in learn(resume=True).items():
        assert torch.equal(value, expected[name]), name
    assert not (tmp_path / 'state').exists()


def test_the_command_writes_a_model_that_trains_on(toy, tmp_path, capsys):
    path, output = saved(tmp_path, teacher()), tmp_path / 'refinepose.pth'
    words = ['transplant', str(path), '--num-heads', '4', '--img-size', '64', '48', '--images',
             str(toy / 'train'), '--steps', '2', '--batch', '2', '--device', 'cpu', '--output']
    assert main([*words, str(output), '--head', 'fusion']) == 0
    printed = capsys.readouterr().out
    assert 'persons to learn from, 2 held out' in printed and 'done: tokens' in printed
    weights, meta = open_checkpoint(output)
    model = MODELS.build(refinepose(ARCH, SIZE, 5, shortcut='gated'))
    model.load_state_dict(weights)
    assert meta['shortcut'] == 'gated' and meta['num_heads'] == 4
    assert main(['weights', str(output), '--img-size', '64', '48']) == 0  # is known again
    assert 'the same function as the source: yes\n' in capsys.readouterr().out
    # Once more is the same, and the state of another run is not gone on from.
    again = tmp_path / 'again.pth'
    assert main([*words, str(again), '--head', 'fusion']) == 0
    for name, value in open_checkpoint(again).tensors.items():
        assert torch.equal(value, weights[name]), name
    capsys.readouterr()
    (tmp_path / 'again.pth.state').write_bytes(b'')
    assert main([*words, str(again)]) == 2
    assert '--resume goes on from it' in capsys.readouterr().err
    assert main([*words, str(again), '--resume']) == 2
    assert 'is no state of this transplant' in capsys.readouterr().err


@pytest.mark.parametrize('words, message', [
    (['--steps', '0'], 'must be above 0'),
    (['--arch', 'tiny'], '--arch tiny is'),
    (['--images', 'none'], 'none'),
    (['--resume'], 'nothing to go on from'),
    (['--device', 'none'], "device 'none' cannot be used here")])
def test_bad_calls_end_in_one_line(toy, tmp_path, capsys, words, message):
    path = saved(tmp_path, teacher())
    assert main(['transplant', str(path), '--num-heads', '4', '--img-size', '64', '48',
                 '--images', str(toy / 'train'), '--output', str(tmp_path / 'x.pth'),
                 *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
    assert not (tmp_path / 'x.pth').exists()


def test_a_refinepose_is_no_source(toy, tmp_path, capsys):
    path = saved(tmp_path, MODELS.build(refinepose(ARCH, SIZE, 5)))
    assert main(['transplant', str(path), '--num-heads', '4', '--img-size', '64', '48',
                 '--images', str(toy / 'train'), '--output', str(tmp_path / 'x.pth')]) == 2
    assert 'has the stem of RefinePose' in capsys.readouterr().err


def test_crops_depend_on_seed_and_step_alone(toy):
    one, other = crops_of(toy), crops_of(toy)
    other.batch(5, 2)
    assert torch.equal(one.batch(7, 3), other.batch(7, 3))
    assert not torch.equal(one.batch(7, 3), one.batch(8, 3))
    assert not torch.equal(one.batch(7, 3), crops_of(toy, 1).batch(7, 3))
    assert one.batch(0, 2).shape == (2, 3, *SIZE)
    held_out = {person.photo for person in one.held_out}
    assert held_out and not held_out & {person.photo for person in one.persons}
    assert one.held_out_batch().shape == (len(one.held_out), 3, *SIZE)


def test_boxes_of_both_kinds_are_the_same_persons(toy, tmp_path):
    coco = toy / 'annotations/person_keypoints_train.json'
    content = json.loads(coco.read_text())
    names = {image['id']: image['file_name'] for image in content['images']}
    table = {name: [] for name in names.values()}
    for person in content['annotations']:
        left, top, width, height = person['bbox']
        table[names[person['image_id']]].append([left, top, left + width, top + height])
    (tmp_path / 'boxes.json').write_text(json.dumps(table))
    found = find_persons(toy / 'train', coco)
    assert found == find_persons(toy / 'train', tmp_path / 'boxes.json')
    assert len(found) == len(content['annotations'])
    assert len(find_persons(toy / 'train', None)) == 24
    (tmp_path / 'other.json').write_text('{"x.jpg": [[0, 0, 5, 5]]}')
    with pytest.raises(ValueError, match='fit the photos of'):
        find_persons(toy / 'train', tmp_path / 'other.json')


def test_the_size_is_that_of_the_source(tmp_path):
    model = MODELS.build(vitpose(ARCH, (256, 192), 5))
    assert source_of(saved(tmp_path, model)).image_size == (256, 192)


def test_only_stem_and_fresh_head_learn():
    model = MODELS.build(refinepose(ARCH, SIZE, 5, shortcut='gated'))
    for head, starts in (('keep', ('backbone.patch_embed.', )),
                         ('fusion', ('backbone.patch_embed.', 'head.'))):
        learning(model, head)
        for name, value in model.named_parameters():
            assert value.requires_grad == name.startswith(starts), name
