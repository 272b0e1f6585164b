"""`mim train` and `mim test` in processes of their own, as users start them."""

import json
import re

import cv2
import pytest
import torch
from conftest import ROOT, mim

from refinepose_mm import demo
from refinepose_mm.datasets import toy_people

CONFIG = 'configs/refinepose_tiny_toy.py'
SMALL = ('train_dataloader.num_workers=0',
         'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False',
         'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False')


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    # Quotes and backslashes, which MMEngine's own way to read the environment cannot take.
    root = tmp_path_factory.mktemp('toy') / r"O'Brien\data"
    toy_people.generate(root, num_train=12, num_val=6)
    return root


def run(command, work_dir, toy, *extra, config=CONFIG, **environment):
    return mim(command, 'mmpose', config, '--gpus', '0', '--work-dir', work_dir, *extra,
               TOY_ROOT=str(toy), **environment)


def test_a_checkpoint_that_was_just_written_is_evaluated_and_drawn(toy, tmp_path, monkeypatch):
    trained = run('train', tmp_path, toy, '--cfg-options', 'train_cfg.max_epochs=1',
                  'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1', *SMALL)
    assert trained.returncode == 0, trained.stderr[-3000:]
    assert (tmp_path / 'epoch_1.pth').is_file()
    tested = run('test', tmp_path / 'test', toy, '--checkpoint', tmp_path / 'epoch_1.pth',
                 '--badcase', '--cfg-options', *SMALL)
    assert tested.returncode == 0, tested.stderr[-3000:]
    # After one epoch every person is a bad case.
    bad_cases, = (tmp_path / 'test').glob('*/badcase/results.json')
    assert json.loads(bad_cases.read_text())
    log, = (tmp_path / 'test').glob('*/*.json')
    # The same weights on the same images: the score of the training run's own validation.
    in_training = [json.loads(line) for line in next(
        tmp_path.glob('*/vis_data/scalars.json')).read_text().splitlines()]
    ap = in_training[-1]['coco/AP']
    assert json.loads(log.read_text())['coco/AP'] == ap == demo.last_metric(
        tmp_path / 'test', 'coco/AP')

    # The rest of `refinepose demo`.
    losses, aps = demo.draw_training(tmp_path).axes
    (loss, ), (ap_line, ) = losses.lines, aps.lines
    assert len(loss.get_xdata()) and (loss.get_ydata() > 0).all()
    assert ap_line.get_xydata().tolist() == [[1, ap]]
    monkeypatch.chdir(ROOT)
    pictures = demo.draw_overlays(
        CONFIG, demo.best_checkpoint(tmp_path), toy / 'demo', tmp_path / 'overlays', toy)
    assert len(pictures) == toy_people.DEMO_IMAGES
    drawn, image = (cv2.imread(str(folder / pictures[0].name))
                    for folder in (tmp_path / 'overlays', toy / 'demo'))
    assert drawn.shape == image.shape and (drawn != image).any()
    assert cv2.imread(str(tmp_path / demo.OVERLAYS)).shape[0] == demo.HEIGHT


@pytest.mark.parametrize('options, message', [
    (['model.backbone.img_size=(120,96)'], 'input must be divisible by 16, got 120x96'),
    (['model.backbone.group_size=3'], 'groups of 3 for 4 blocks'),
    (['model.backbone.arch=giant'], "unknown arch 'giant'; known: tiny, small, base, large, huge"),
    (['model.backbone.stem.type=PatchEmbedding'], 'needs the pool positions of a stem that max'),
])
def test_mistakes_end_in_a_clear_message(toy, tmp_path, options, message):
    result = run('train', tmp_path, toy, '--cfg-options', *options, *SMALL)
    assert result.returncode != 0
    assert re.search(message, result.stdout + result.stderr)


def last_line_of_the_script(result):
    """What MMPose's script said last; mim adds a traceback of its own."""
    script, _, _ = result.stderr.rpartition('Traceback')
    return script.strip().splitlines()[-1]


def test_everything_that_is_wrong_is_said_in_one_line_before_the_run(toy, tmp_path):
    result = run('train', tmp_path, toy, '--amp', '--cfg-options',
                 'train_dataloader.dataset.ann_file=annotations/none.json',
                 'val_dataloader.dataset.data_prefix.img=nowhere/', 'modl.backbone.arch=small',
                 'val_dataloader.num_workers=0')
    assert result.returncode != 0
    assert last_line_of_the_script(result) == (
        'ValueError: 5 problems: (1) modl is read by nobody; model?; '
        '(2) mixed precision (--amp, AmpOptimWrapper) needs a GPU, none is found; '
        f'(3) train_dataloader.dataset: {toy}/annotations/none.json not found; '
        '(4) val_dataloader.persistent_workers=True needs num_workers of at least 1, got 0; set '
        f'it to False; (5) val_dataloader.dataset: folder of images {toy}/nowhere/ not found')
    assert not list(tmp_path.glob('*.pth'))


def test_what_only_the_first_validation_needs_is_said_before_the_run(toy, tmp_path):
    annotations = json.loads((toy / 'annotations/person_keypoints_val.json').read_text())
    for annotation in annotations['annotations']:
        del annotation['area']
    path = tmp_path / 'no_area.json'
    path.write_text(json.dumps(annotations))
    result = run('train', tmp_path / 'run', toy, '--cfg-options',
                 f'val_dataloader.dataset.ann_file={path}', f'val_evaluator.ann_file={path}',
                 *SMALL)
    assert result.returncode != 0
    count = len(annotations['annotations'])
    assert last_line_of_the_script(result) == (
        f'ValueError: {path}: {count} of {count} annotations have no area, which CocoMetric needs '
        'unless use_area=False')


def test_the_checkpoint_of_another_model_is_not_evaluated(toy, tmp_path):
    """MMEngine logs the keys that do not fit, evaluates random weights and exits with 0."""
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'backbone.conv.weight': torch.zeros(3)}), path)
    result = run('test', tmp_path, toy, '--checkpoint', path, '--cfg-options', *SMALL)
    assert result.returncode != 0
    assert re.fullmatch(
        rf'ValueError: {path} is not of this config: 0 of \d+ tensors of the model fit; '
        r'\d+ missing: .*, \.\.\.; 1 unknown: backbone\.conv\.weight',
        last_line_of_the_script(result))
