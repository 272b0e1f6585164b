"""Photos and videos in, drawings and a json out."""

import json

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmpose.apis import init_model
from peaks import give_peaks

from refinepose_mm import cli
from refinepose_mm.deploy.predict import Video
from refinepose_mm.deploy.predictor import BatchPredictor

CONFIG = str(ROOT / 'configs/refinepose_tiny_toy.py')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('trained') / 'epoch_1.pth'
    torch.save(dict(state_dict=give_peaks(init_model(CONFIG, device='cpu')).state_dict()), path)
    return str(path)


@pytest.fixture(scope='module')
def frames():
    noise = np.random.default_rng(0).integers(0, 256, (7, 120, 160, 3), np.uint8)
    return [cv2.GaussianBlur(frame, (0, 0), 4) for frame in noise]


@pytest.fixture
def photos(tmp_path, frames):
    folder = tmp_path / 'photos'
    folder.mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / f'{number}.png'), frame)
    return folder


@pytest.fixture
def video(tmp_path, frames):
    path = tmp_path / 'frames.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (160, 120))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


BOXES = {'0': [[10, 10, 90, 110]], '2': [[0, 0, 60, 100], [50, 20, 150, 119]],
         '6': [[5, 5, 80, 99]]}


@pytest.mark.parametrize('batch_size', [1, 3, 32])
def test_persons_of_all_images_share_batches_and_come_out_in_order(
        checkpoint, frames, batch_size):
    predictor = BatchPredictor(CONFIG, checkpoint, batch_size, flip_test=False)
    scenes = [(frame, np.array(BOXES.get(str(number), []))) for number, frame in enumerate(frames)]
    engine, sizes = predictor.engine, []
    predictor.engine = lambda images: sizes.append(len(images)) or engine(images)
    streamed = list(predictor.stream(scenes))
    assert sizes == {1: [1] * 4, 3: [3, 1], 32: [4]}[batch_size]
    assert [len(poses.scores) for _, poses in streamed] == [1, 0, 2, 0, 0, 0, 1]
    for (image, boxes), (_, poses) in zip(scenes, streamed):
        alone = predictor(image, boxes)
        np.testing.assert_allclose(poses.keypoints, alone.keypoints, atol=1e-2)


def test_images_without_persons_do_not_pile_up(checkpoint, frames):
    predictor = BatchPredictor(CONFIG, checkpoint, batch_size=2)
    read = []

    def scenes():
        for number in range(9):
            read.append(number)
            yield frames[0], np.array(BOXES['0'] if number == 0 else [])

    next(predictor.stream(scenes()))
    assert len(read) == 3


def test_photos(checkpoint, photos, tmp_path, capsys):
    boxes = tmp_path / 'boxes.json'
    boxes.write_text(json.dumps({f'{name}.png': found for name, found in BOXES.items()}))
    output = tmp_path / 'drawn'
    assert cli.main(['predict', CONFIG, checkpoint, str(photos), '--boxes', str(boxes),
                     '--output', str(output), '--threshold', '0']) == 0
    assert '4 persons in 7 images' in capsys.readouterr().out
    found = json.loads((output / 'predictions.json').read_text())
    assert [len(found[f'{number}.png']) for number in range(7)] == [1, 0, 2, 0, 0, 0, 1]
    assert np.array(found['2.png'][1]['keypoints']).shape == (17, 2)
    for number, changed in ((0, True), (1, False)):  # lossless: only skeletons differ
        before, after = (cv2.imread(str(folder / f'{number}.png')) for folder in (photos, output))
        assert (before != after).any() == changed


def test_video(checkpoint, video, tmp_path):
    boxes = tmp_path / 'boxes.json'
    boxes.write_text(json.dumps(BOXES))
    output = tmp_path / 'drawn'
    assert cli.main(['predict', CONFIG, checkpoint, str(video), '--boxes', str(boxes),
                     '--output', str(output)]) == 0
    drawn = Video(output / 'frames.mp4')
    assert len(drawn) == 7 and drawn.reader.fps == 10 and drawn.reader.resolution == (160, 120)
    assert list(json.loads((output / 'predictions.json').read_text())) == list('0123456')


def test_a_broken_photo_is_named_and_what_was_found_before_it_is_kept(
        checkpoint, photos, tmp_path, capsys):
    (photos / '5.png').write_bytes(b'no image')
    output = tmp_path / 'drawn'
    words = ['predict', CONFIG, checkpoint, str(photos), '--output', str(output)]
    assert cli.main([*words, '--batch-size', '2']) == 2
    assert '5.png cannot be decoded' in capsys.readouterr().err
    assert set(json.loads((output / 'predictions.json').read_text())) == {
        f'{number}.png' for number in range(4)}


def test_mistakes_end_in_one_line(checkpoint, photos, video, tmp_path, capsys):
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(b'no video')
    listed, other = tmp_path / 'list.json', tmp_path / 'other.json'
    listed.write_text('[]')
    other.write_text('{"else.png": [[0, 0, 9, 9]]}')
    empty = tmp_path / 'empty'
    empty.mkdir()
    for words, message in (
            ([str(tmp_path / 'none.jpg')], 'none.jpg not found'),
            ([str(listed)], 'must be a folder or end in one of'),
            ([str(broken)], 'cannot be read as a video'),
            ([str(empty)], 'no photos'),
            ([str(photos), '--boxes', str(listed)], 'must map file names'),
            ([str(photos), '--boxes', str(broken)], 'broken.mp4 is not json'),
            ([str(photos), '--boxes', str(other)], 'no boxes in .*other.json fit'),
    ):
        output = ['--output', str(tmp_path / 'drawn')]
        assert cli.main(['predict', CONFIG, checkpoint, *words, *output]) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert message.split('.*')[0] in error and message.split('.*')[-1] in error
