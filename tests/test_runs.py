"""`mim train` and `mim test` in processes of their own, as users start them."""

import json
import re

import cv2
import pytest
from conftest import ROOT, mim

from refinepose_mm import demo
from refinepose_mm.datasets import toy_people

CONFIG = 'configs/refinepose_tiny_toy.py'
SMALL = ('train_dataloader.num_workers=0',
         'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False',
         'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False')


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp('toy')
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
    (['train_dataloader.dataset.ann_file=annotations/none.json'],
     r'annotations/none\.json` ?does not exist'),
    (['train_dataloader.dataset.data_prefix.img=nowhere/'], r'nowhere/\d{12}\.jpg does not exist'),
])
def test_mistakes_end_in_a_clear_message(toy, tmp_path, options, message):
    result = run('train', tmp_path, toy, '--cfg-options', *options, *SMALL)
    assert result.returncode != 0
    assert re.search(message, result.stdout + result.stderr)
