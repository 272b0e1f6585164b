"""rtmlib runs a file of `--interface rtmlib` as it is, and finds what is there."""

from functools import partial

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from spots import BOX, SPOTS, colours, spotted

from refinepose_mm.deploy.certificate import Crops
from refinepose_mm.deploy.export import export
from refinepose_mm.deploy.formats import load_exported
from refinepose_mm.deploy.metadata import require_fit
from refinepose_mm.deploy.rtmlib import shrinking

CONFIG = str(ROOT / 'configs/refinepose_tiny_toy.py')
@pytest.fixture(scope='module')
def photo():
    return spotted()


@pytest.fixture
def file(tmp_path, photo):
    for package in ('onnx', 'onnxscript', 'onnxruntime', 'rtmlib'):
        pytest.importorskip(package, reason=f'{package} is not installed')
    crop = torch.from_numpy(cv2.resize(photo, (96, 128))).permute(2, 0, 1)[None].float()
    certificate = export(colours(), tmp_path / 'model.onnx', crops=Crops(crop, 'spots'),
                         interface='rtmlib')
    assert certificate['precisions']['f32']['median'] < .1  # without the shrinking it is .5
    return tmp_path / 'model.onnx'


def test_vitpose_finds_the_spots(file, photo):
    from rtmlib import ViTPose
    keypoints, scores = ViTPose(str(file), model_input_size=(96, 128))(photo, [BOX, BOX])
    assert keypoints.shape == (2, 3, 2) and scores.shape == (2, 3)
    # The box is 250 pixels high, padding included, so a pixel of the crop is two of the photo.
    assert np.abs(keypoints - SPOTS).max() < .3
    assert scores.min() > .8


def test_a_file_of_ours_would_be_a_pixel_off(file, photo):
    from rtmlib import ViTPose
    path = file.with_name('ours.onnx')
    export(colours(), path)
    model = ViTPose(str(path), model_input_size=(96, 128), mean=None)
    keypoints, _ = model(photo, [BOX])
    assert (keypoints - SPOTS).max() > 1


def test_pose_tracker_runs_it(file, photo):
    from rtmlib import Custom, PoseTracker
    tracker = PoseTracker(partial(Custom, pose_class='ViTPose', pose=str(file),
                                  pose_input_size=(96, 128)))
    for _ in range(2):
        keypoints, _ = tracker(photo)
        assert np.abs(keypoints[0] - SPOTS).max() < .5  # the whole photo is the box


def test_the_file_says_what_it_takes(file, photo):
    loaded = load_exported(file)
    assert loaded.metadata['interface'] == 'rtmlib'
    assert loaded.metadata['normalization'] == dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], channels='BGR', inside=False)
    crop = cv2.resize(photo, (96, 128)).transpose(2, 0, 1)[None].astype(np.float32)
    crop[:, 0] /= 2  # blue, the last heatmap
    heatmaps, = loaded(crop)  # normalises first
    ratio = heatmaps.max((0, 2, 3)) / crop.max((0, 2, 3))[::-1] * 255
    assert ratio.min() > .8 and ratio.max() < 1
    config = Config.fromfile(CONFIG)
    config.model.head.out_channels = 3
    with pytest.raises(ValueError, match='model.onnx is for rtmlib, which crops in its own way'):
        require_fit(loaded.metadata, config, file)


def test_what_rtmlib_cannot_decode_is_refused(tmp_path):
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package, reason=f'{package} is not installed')
    path = tmp_path / 'model.onnx'
    with pytest.raises(ValueError, match='needs the codec UDPHeatmap .* got MSRAHeatmap'):
        export(colours(type='MSRAHeatmap'), path, interface='rtmlib')
    with pytest.raises(ValueError, match='--interface rtmlib and --decode exclude each other'):
        export(colours(), path, decode=True, interface='rtmlib')
    model = colours()
    model.cfg = Config.fromfile(CONFIG)
    model.cfg.test_dataloader.dataset.pipeline[1].padding = 1.5
    with pytest.raises(ValueError, match='padding of 1.25, the config with 1.5'):
        export(model, path, interface='rtmlib')
    assert not list(tmp_path.iterdir())


def test_shrinking_moves_points_towards_the_upper_left():
    matrix = shrinking(24, 96)
    assert torch.allclose(matrix.sum(1), torch.ones(24))
    hill = torch.exp(-(torch.arange(24) - 16.)**2 / (2 * 1.5**2))
    moved = matrix @ hill
    centre = (moved * torch.arange(24)).sum() / moved.sum()
    assert centre.item() == pytest.approx(16 * 95 / 96, abs=.01)
