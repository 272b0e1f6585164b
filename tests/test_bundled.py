"""The bundled model: found by name, equal to its training config, and as good as its card says."""

import importlib.util
import json
import re

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmpose.registry import DATASETS

from refinepose_mm import cli
from refinepose_mm.apis import BatchPredictor, export, load_model
from refinepose_mm.bundled import DEMO, NAMES, bundled, config_and_weights
from refinepose_mm.checkpoints import read_checkpoint
from refinepose_mm.datasets.images import read_image
from refinepose_mm.datasets.toy_people import draw_scene

LARGEST = 8e6  # bytes of a bundled file
GOLDEN = ROOT / 'tests/golden/demo.json'  # of the first bundled weights, without flip test
TOLERANCE = .1  # pixels of a person of 300 pixels, in every engine; float16 weights are in all
SEEN = .3  # keypoints with a lower score are not compared


@pytest.fixture(scope='module')
def toy():
    """Three images with a toy person each: (image, box)."""
    scenes = [draw_scene(np.random.default_rng(seed), 1) for seed in range(3)]
    return [(image, np.array([_corners(persons[0]['bbox'])])) for image, persons in scenes]


def _corners(box):
    left, top, width, height = box
    return [left, top, left + width, top + height]


@pytest.mark.parametrize('name', NAMES)
def test_files_are_there_and_small(name):
    for path in bundled(name):
        assert path.is_file() and path.stat().st_size < LARGEST


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="no bundled model is called 'large'; there is demo"):
        bundled('large')
    with pytest.raises(ValueError, match='model.py needs weights; without them the config must be'):
        config_and_weights('model.py', None)


def test_a_name_gives_the_files_and_own_weights_come_first():
    assert config_and_weights(DEMO, None) == bundled(DEMO)[:2]
    assert config_and_weights(DEMO, 'tuned.pth') == (bundled(DEMO).config, 'tuned.pth')
    assert config_and_weights('model.py', 'a.pth') == ('model.py', 'a.pth')


def test_the_config_is_what_bundle_py_makes_of_the_training_config():
    spec = importlib.util.spec_from_file_location('bundle', ROOT / 'projects/demo_model/bundle.py')
    bundle = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bundle)
    assert bundled(DEMO).config.read_text(encoding='utf-8') == bundle.bundled_config()


def test_matrices_are_float16_and_variances_are_not():
    weights = read_checkpoint(bundled(DEMO).weights)
    kinds = {value.ndim > 1: value.dtype for value in weights.values() if value.is_floating_point()}
    assert kinds == {True: torch.float16, False: torch.float32}


def test_the_model_knows_its_joints():
    model = load_model(*bundled(DEMO)[:2])
    assert model.dataset_meta['keypoint_id2name'][13] == 'head_top'
    assert next(model.parameters()).dtype == torch.float32 and not model.training


@pytest.mark.parametrize('suffix', ['.safetensors', '.pt2', '.onnx', '.xml'])
def test_golden_keypoints(suffix, toy, tmp_path):
    config, weights, _ = bundled(DEMO)
    if suffix != '.safetensors':
        pytest.importorskip({'.onnx': 'onnx', '.xml': 'openvino', '.pt2': 'torch'}[suffix])
        path = tmp_path / f'demo{suffix}'
        export(load_model(config, weights), path)
        weights = path
    predict = BatchPredictor(config, weights, flip_test=False, trust=True, raw_scores=True)
    golden = json.loads(GOLDEN.read_text())
    assert len(golden) == len(toy)
    for (image, box), person in zip(toy, golden):
        keypoints, scores = (values[0] for values in predict(image, box))
        seen = np.array(person['scores']) > SEEN
        assert seen.sum() >= 5
        np.testing.assert_allclose(scores[seen], np.array(person['scores'])[seen], atol=.01)
        np.testing.assert_allclose(keypoints[seen], np.array(person['keypoints'])[seen],
                                   rtol=0, atol=TOLERANCE)


def test_accuracy_on_real_photos_is_that_of_the_card(photos, monkeypatch):
    """PCK@0.1 of the first hundred of the 500 persons; the card has that of all."""
    monkeypatch.setenv('LSPET_ROOT', str(photos / 'lspet'))
    config = Config.fromfile(ROOT / 'projects/demo_model/refinepose_demo_lspet.py')
    data = DATASETS.build(config.val_dataloader.dataset)
    predict = BatchPredictor(DEMO)
    hits = []
    for index in range(100):
        person = data.get_data_info(index)
        found = predict(read_image(person['img_path']), person['bbox']).keypoints[0]
        left, top, right, bottom = person['bbox'][0]
        distances = np.linalg.norm(found - person['keypoints'][0], axis=1)
        visible = person['keypoints_visible'][0] > 0
        hits.append(distances[visible] / max(right - left, bottom - top) < .1)
    card = float(re.search(r'PCK@0.1 \| ([\d.]+)', bundled(DEMO).card.read_text()).group(1))
    assert abs(100 * np.concatenate(hits).mean() - card) < 6  # of a hundred persons


def test_predict_needs_nothing_but_a_photo(toy, tmp_path, capsys):
    image, box = toy[0]
    left, top, right, bottom = box[0].astype(int)
    cv2.imwrite(str(tmp_path / 'person.png'), image[top:bottom, left:right])
    assert cli.main(['predict', str(tmp_path / 'person.png'), '--output',
                     str(tmp_path / 'out')]) == 0
    assert "this is the bundled demonstration model 'demo'" in capsys.readouterr().out
    person, = json.loads((tmp_path / 'out/predictions.json').read_text())['person.png']
    assert len(person['keypoints']) == 14
    assert cli.main(['predict', str(tmp_path / 'person.png'), '--raw-scores', '--output',
                     str(tmp_path / 'raw')]) == 0
    raw, = json.loads((tmp_path / 'raw/predictions.json').read_text())['person.png']
    assert raw['keypoints'] == person['keypoints']
    calibration = BatchPredictor(DEMO).calibration
    np.testing.assert_allclose(person['scores'], calibration.probabilities(
        np.array([raw['scores']]))[0], atol=1e-3)
    assert person['score'] == pytest.approx(
        calibration.expected_oks(np.array([raw['scores']]))[0], abs=1e-3) != raw['score']


def test_export_takes_the_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(['export', DEMO, '--format', 'torch-export']) == 0
    assert (tmp_path / 'demo.pt2').is_file()
