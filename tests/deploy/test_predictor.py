"""Persons in batches come out as MMPose's one call finds them."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.apis import inference_topdown, init_model
from peaks import give_peaks

from refinepose_mm.deploy.export import export
from refinepose_mm.deploy.formats import TARGETS
from refinepose_mm.deploy.predictor import BatchPredictor


@pytest.fixture(scope='module')
def trained(tmp_path_factory, root):
    """A config and a checkpoint of a network with peaks as high as a trained one's."""
    config = str(root / 'configs/refinepose_tiny_toy.py')
    torch.manual_seed(0)
    model = init_model(config, device='cpu')
    give_peaks(model)
    checkpoint = tmp_path_factory.mktemp('trained') / 'epoch_1.pth'
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    return config, checkpoint, model


@pytest.fixture(scope='module')
def scene():
    image = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8), (0, 0), 3)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    left_top = np.random.default_rng(1).uniform(-20, 150, (7, 2))
    return image, np.hstack([left_top, left_top + [90, 130]]).astype(np.float32)


@pytest.mark.parametrize('batch_size', [1, 3, 32])
def test_equals_mmpose(trained, scene, batch_size):
    config, checkpoint, model = trained
    image, boxes = scene
    poses = BatchPredictor(config, checkpoint, batch_size)(image, boxes)
    expected = inference_topdown(model, image, boxes)
    assert poses.keypoints.shape == (7, 17, 2) and poses.scores.shape == (7, 17)
    for ours, scores, theirs in zip(*poses, expected):
        np.testing.assert_allclose(ours, theirs.pred_instances.keypoints[0], atol=1e-2)
        np.testing.assert_allclose(scores, theirs.pred_instances.keypoint_scores[0], atol=1e-4)


def test_batches_are_bounded(trained, scene):
    predictor = BatchPredictor(*trained[:2], batch_size=3)
    engine, sizes = predictor.engine, []
    predictor.engine = lambda images: sizes.append(len(images)) or engine(images)
    predictor(*scene)
    assert sizes == [3, 3, 3, 3, 1, 1]  # each batch and its mirror image


@pytest.mark.parametrize('suffix', [target.suffix for target in TARGETS.values()])
@pytest.mark.parametrize('decode', [False, True])
def test_an_exported_file_stands_in(trained, scene, tmp_path, suffix, decode):
    for target in TARGETS.values():
        for package in target.packages if target.suffix == suffix else ():
            pytest.importorskip(package, reason=f'{package} is not installed')
    config, checkpoint, model = trained
    path = tmp_path / f'model{suffix}'
    export(model, path, decode)
    expected = BatchPredictor(config, checkpoint, flip_test=not decode)(*scene)
    found = BatchPredictor(config, path, trust=True)(*scene)
    # Engines round differently, and the refinement of a low peak makes more of it.
    np.testing.assert_allclose(found.keypoints, expected.keypoints, rtol=0, atol=5e-2)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    if decode:
        with pytest.raises(ValueError, match='a flip test needs heatmaps'):
            BatchPredictor(config, path, flip_test=True, trust=True)


@pytest.mark.parametrize('codec', ['UDPHeatmap', 'MSRAHeatmap'])
def test_any_heatmap_codec_of_mmpose_decodes(trained, scene, tmp_path, codec):
    path, checkpoint, model = trained
    config = Config.fromfile(path)
    config.model.head.decoder.type = codec
    config.dump(tmp_path / 'config.py')
    found = BatchPredictor(tmp_path / 'config.py', checkpoint, batch_size=3)(*scene)
    other = init_model(config, str(checkpoint), device='cpu')
    expected = inference_topdown(other, *scene)
    for ours, theirs in zip(found.keypoints, expected):
        np.testing.assert_allclose(ours, theirs.pred_instances.keypoints[0], atol=1e-2)


@pytest.mark.parametrize('change, message', [
    (lambda c: c.model.head.pop('decoder'), 'has no model.head.decoder'),
    (lambda c: c.pop('test_dataloader'), 'has no test_dataloader.dataset'),
    (lambda c: c.pop('model'), 'has no model'),
    (lambda c: c.model.test_cfg.update(flip_mode='combine'), "must be 'heatmap', got 'combine'"),
])
def test_configs_that_lack_something_are_refused(trained, tmp_path, change, message):
    path, checkpoint, _ = trained
    config = Config.fromfile(path)
    change(config)
    config.dump(tmp_path / 'config.py')
    with pytest.raises(ValueError, match=message):
        BatchPredictor(tmp_path / 'config.py', checkpoint)


def test_a_config_without_a_scope_is_mmposes(trained, scene, tmp_path):
    config = Config.fromfile(trained[0])
    config.pop('default_scope')
    config.dump(tmp_path / 'config.py')
    assert len(BatchPredictor(tmp_path / 'config.py', trained[1])(*scene).scores) == 7


@pytest.mark.parametrize('device', ['gpu', '', 'cuda:99'])
def test_a_device_that_is_not_there_is_named(trained, device):
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used here"):
        BatchPredictor(*trained[:2], device=device)


def test_a_file_that_is_no_config_is_named(trained, tmp_path):
    (tmp_path / 'config.py').write_text('model = 1 / 0')
    with pytest.raises(ValueError, match='config.py is not a config: division by zero'):
        BatchPredictor(tmp_path / 'config.py', trained[1])


def test_no_boxes_give_no_poses(trained, scene):
    poses = BatchPredictor(*trained[:2])(scene[0], np.zeros((0, 4)))
    assert poses.keypoints.shape == (0, 17, 2) and poses.scores.shape == (0, 17)


@pytest.mark.parametrize('image, boxes, message', [
    (np.zeros((9, 9), np.uint8), [[0, 0, 9, 9]], r'image must be .* got \(9, 9\), uint8'),
    (np.zeros((9, 9, 3)), [[0, 0, 9, 9]], 'float64'),
    (np.zeros((9, 9, 3), np.uint8), [[0, 0, 9]], r'boxes must be \(N, 4\), got \(1, 3\)'),
    (np.zeros((9, 9, 3), np.uint8), [[0, 0, 9, 9], [5, 5, 5, 9]], 'box 1 is empty.* 5, 5, 5, 9'),
    (np.zeros((9, 9, 3), np.uint8), [[0, 0, 9, np.nan]], 'box 0 is not finite.* 9, nan'),
    (np.zeros((9, 9, 3), np.uint8), [[0, 0, 9, np.inf]], 'box 0 is not finite.* 9, inf'),
    (np.zeros((9, 9, 3), np.uint8), [[0, 0, 9, 1e30]], 'box 0 is beyond a million pixels'),
])
def test_bad_input(trained, image, boxes, message):
    with pytest.raises(ValueError, match=message):
        BatchPredictor(*trained[:2])(image, np.array(boxes, np.float32))


def test_bad_files_and_options(trained, tmp_path):
    config, checkpoint, _ = trained
    with pytest.raises(FileNotFoundError, match='none.pth not found'):
        BatchPredictor(config, 'none.pth')
    with pytest.raises(ValueError, match='batch_size must be at least 1, got 0'):
        BatchPredictor(config, checkpoint, batch_size=0)
    other = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'backbone.pos_embed': torch.zeros(1)}), other)
    with pytest.raises(ValueError, match='other.pth is not of this config: 0 of '):
        BatchPredictor(config, other)
    weights = torch.load(checkpoint, weights_only=True)['state_dict']
    torch.save({f'module.{name}': value for name, value in weights.items()}, other)
    BatchPredictor(config, other)  # as DistributedDataParallel names them
    weights['backbone.pos_embed'][0, 0, 0] = torch.nan
    torch.save(weights, other)
    with pytest.raises(ValueError, match='other.pth holds NaN or infinite numbers in 1 of '):
        BatchPredictor(config, other)
    weights['backbone.pos_embed'] = weights['backbone.pos_embed'].to(torch.int8)
    torch.save(weights, other)
    with pytest.raises(ValueError, match='1 of another kind of numbers: backbone.pos_embed'):
        BatchPredictor(config, other)
