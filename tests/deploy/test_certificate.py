"""What an exported file's certificate compares, and that it sees differences."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmpose.registry import KEYPOINT_CODECS

from refinepose_mm.datasets import toy_people
from refinepose_mm.deploy.certificate import (
    COUNT,
    Found,
    by_file,
    crops_of,
    distances,
    in_words,
)
from refinepose_mm.deploy.formats import Engine, Exported

CONFIG = str(ROOT / 'configs/refinepose_tiny_toy.py')


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The toy config, whose data are in a folder that does not exist yet."""
    monkeypatch.setenv('TOY_ROOT', str(tmp_path / 'toy'))
    return Config.fromfile(CONFIG)


def test_photos_are_whole_persons(config, tmp_path):
    image = np.zeros((256, 192, 3), np.uint8)
    image[64:192, 48:144] = 1, 2, 3
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    crops = crops_of(config, tmp_path)
    assert crops.source == f'1 whole images of {tmp_path}'
    assert crops.images.shape == (1, 3, 128, 96)
    # Half of the image in each direction, and 1 / 1.25 of the crop is the image.
    assert crops.images[0, 0].mean().item() == pytest.approx(.25 / 1.25**2, abs=.01)
    assert crops.images[0, :, 64, 48].tolist() == [1, 2, 3]
    with pytest.raises(FileNotFoundError, match='nowhere not found'):
        crops_of(config, tmp_path / 'nowhere')
    (tmp_path / 'a.png').write_bytes(b'broken')
    with pytest.raises(OSError, match='a.png'):
        crops_of(config, tmp_path)


def test_test_data_come_before_toy_people(config, tmp_path, capsys):
    toys = crops_of(config)
    assert toys.source.startswith('16 toy people, not the test data (test_dataloader')
    assert toys.source.endswith('person_keypoints_val.json not found)')
    assert toys.images.shape == (16, 3, 128, 96) and toys.images.std() > 20
    assert torch.equal(toys.images, crops_of(config).images)  # the same ones every time
    toy_people.generate(tmp_path / 'toy', num_train=1, num_val=40)
    capsys.readouterr()
    data = crops_of(config)
    assert data.source == f'{COUNT} persons of the test data'
    assert data.images.shape == (COUNT, 3, 128, 96)
    assert capsys.readouterr().out == ''


def test_distances_are_pixels():
    expected = Found(np.zeros((1, 3, 2)), np.zeros((1, 3)))
    found = Found(np.array([[[0, .25], [.5, 0], [3, 4]]]), np.array([[0, -.5, .125]]))
    assert distances(found, expected) == dict(median=.5, largest=5, score=.5)


@pytest.mark.parametrize('decode', [False, True])
def test_a_shifted_file_is_seen(decode):
    codec = KEYPOINT_CODECS.build(dict(type='BatchedUDPHeatmap', input_size=(96, 128),
                                       heatmap_size=(24, 32), sigma=1.5))
    places = np.array([[[40., 60.], [20., 100.]]])
    heatmaps = codec.encode(places, np.ones((1, 2)))['heatmaps'][None]
    images = torch.zeros(1, 3, 128, 96)

    def file(shift):
        def run(images):
            moved = np.roll(heatmaps, shift, -1)
            if not decode:
                return [moved]
            keypoints, scores = codec.batch_decode(torch.from_numpy(moved))
            return [np.concatenate(keypoints), np.concatenate(scores)]
        return Exported(Path('model.onnx'), Engine(run, 1 + decode, None))

    true = by_file(file(0), codec, images)
    # MMPose encodes crop pixels up to w - 1, and decodes them as up to w.
    assert np.abs(true.keypoints - places * [96 / 95, 128 / 127]).max() < .05
    moved = distances(by_file(file(1), codec, images), true)
    assert moved['median'] == pytest.approx(96 / 23, abs=.01) and moved['score'] == 0


def test_words_name_engine_and_precision():
    values = dict(median=1e-3, largest=.02, score=1e-5)
    assert in_words(dict(source='2 toy people', crops=2, engine='openvino 1',
                         precisions=dict(f32=values))).splitlines() == [
        'compared with eager PyTorch on 2 toy people, in pixels of the crop:',
        '  openvino 1, f32: keypoints 0.001 apart in the median, 0.02 at most; scores 1e-05 at '
        'most']
