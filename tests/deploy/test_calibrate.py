"""A calibrated file finds the same keypoints, and says how likely each one is right."""

import json

import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmpose.apis import init_model
from peaks import give_peaks

from refinepose_mm import cli
from refinepose_mm.apis import BatchPredictor, export, load_exported, load_model
from refinepose_mm.bundled import DEMO, bundled
from refinepose_mm.checkpoints import open_checkpoint, read_checkpoint, write_checkpoint
from refinepose_mm.datasets import toy_people
from refinepose_mm.deploy.calibrate import Persons, cross_fitted, errors_of, in_words
from refinepose_mm.deploy.calibration import KEY
from refinepose_mm.deploy.formats import TARGETS
from refinepose_mm.deploy.predictor import usual_threshold
from refinepose_mm.deploy.quantize import quantize
from refinepose_mm.deploy.rtmlib import redescribe

CONFIG = str(ROOT / 'configs/refinepose_tiny_toy.py')


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    """A checkpoint of toy people, and the same calibrated by the command."""
    folder = tmp_path_factory.mktemp('toy')
    toy_people.generate(folder, num_train=1, num_val=12)
    torch.manual_seed(0)
    checkpoint = folder / 'epoch_1.pth'
    torch.save(dict(state_dict=give_peaks(init_model(CONFIG, device='cpu')).state_dict(),
                    meta=dict(epoch=1), optimizer=dict(lr=1)), checkpoint)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('TOY_ROOT', str(folder))
        assert cli.main(['calibrate', CONFIG, str(checkpoint)]) == 0
        yield checkpoint, folder / 'epoch_1_calibrated.pth'


@pytest.fixture(scope='module')
def scene():
    image, persons = toy_people.draw_scene(np.random.default_rng(5), 2)
    boxes = [[x, y, x + w, y + h] for person in persons for x, y, w, h in [person['bbox']]]
    return image, np.array(boxes)


def test_a_calibrated_checkpoint_differs_in_scores_only(toy, scene):
    before, after = map(open_checkpoint, toy)
    assert before.tensors.keys() == after.tensors.keys()
    assert all(torch.equal(value, after.tensors[name]) for name, value in before.tensors.items())
    stored = json.loads(after.meta[KEY])
    assert after.meta['epoch'] == 1 and stored['source'] == 'person_keypoints_val.json'
    raw, plain, ours = (BatchPredictor(CONFIG, weights, raw_scores=raw_scores) for
                        weights, raw_scores in ((toy[1], True), (toy[0], False), (toy[1], False)))
    assert [usual_threshold(one) for one in (raw, plain, ours)] == [.3, .3, .5]
    heights, theirs, poses = (one(*scene) for one in (raw, plain, ours))
    for other in (heights, theirs):
        np.testing.assert_array_equal(poses.keypoints, other.keypoints)
    np.testing.assert_array_equal(heights.scores, theirs.scores)
    assert heights.expected_oks is None
    np.testing.assert_array_equal(poses.scores,
                                  ours.calibration.probabilities(heights.scores))
    knots = stored['joints']['nose']
    assert poses.scores[1, 0] == pytest.approx(np.interp(
        heights.scores[1, 0], knots['heights'], knots['right']))
    assert np.abs(poses.scores - heights.scores).max() > .1
    oks = ours.calibration.expected_oks(heights.scores)
    np.testing.assert_array_equal(poses.person_scores(), oks)
    poses.box_scores = np.array([.5, 1])
    np.testing.assert_allclose(poses.person_scores(), oks * [.5, 1])


@pytest.mark.parametrize('name', TARGETS)
def test_exported_files_take_it_along(toy, scene, name, tmp_path):
    for package in TARGETS[name].packages:
        pytest.importorskip(package, reason=f'{package} is not installed')
    path = tmp_path / f'model{TARGETS[name].suffix}'
    export(load_model(CONFIG, toy[1]), path, decode=True)
    assert load_exported(path, trust=True).metadata['calibration'] == json.loads(
        open_checkpoint(toy[1]).meta[KEY])
    found = BatchPredictor(CONFIG, path, trust=True)(*scene)
    expected = BatchPredictor(CONFIG, toy[1], flip_test=False)(*scene)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
    np.testing.assert_allclose(found.person_scores(), expected.person_scores(), atol=1e-3)
    assert 'calibration' not in redescribe(load_exported(path, trust=True).metadata)


@pytest.mark.parametrize('name', TARGETS)
def test_an_exported_file_is_calibrated_itself(toy, scene, name, tmp_path, capsys):
    for package in TARGETS[name].packages:
        pytest.importorskip(package, reason=f'{package} is not installed')
    path = tmp_path / f'model{TARGETS[name].suffix}'
    export(load_model(CONFIG, toy[0]), path)
    output = tmp_path / f'other{TARGETS[name].suffix}'
    words = ['calibrate', CONFIG, str(path), '--output', str(output), '--trust']
    assert cli.main(words) == 0
    assert f'wrote {output}\n21 persons of ' in capsys.readouterr().out
    before, after = (load_exported(file, trust=True) for file in (path, output))
    metadata = dict(after.metadata)
    assert metadata.pop('calibration')['persons'] == 21
    assert metadata == before.metadata
    images = np.zeros((2, 3, 128, 96), np.float32)
    np.testing.assert_array_equal(before(images)[0], after(images)[0])
    expected = BatchPredictor(CONFIG, toy[1])(*scene)
    np.testing.assert_allclose(BatchPredictor(CONFIG, output, trust=True)(*scene).scores,
                               expected.scores, atol=.05)
    assert cli.main([*words[:2], str(output), '--output', str(output), '--trust']) == 2
    assert 'is the input' in capsys.readouterr().err


def test_eight_bits_keep_it(toy, tmp_path):
    for package in ('openvino', 'nncf'):
        pytest.importorskip(package, reason=f'{package} is not installed')
    export(load_model(CONFIG, toy[1]), tmp_path / 'model.xml')
    quantize(tmp_path / 'model.xml', tmp_path / 'small.xml',
             list(np.random.default_rng(0).uniform(0, 255, (2, 1, 3, 128, 96)).astype('f')))
    files = [load_exported(tmp_path / name).metadata for name in ('model.xml', 'small.xml')]
    assert files[0]['calibration'] == files[1]['calibration']


def test_safetensors_keep_text_and_dtype(toy, tmp_path):
    source, output = tmp_path / 'a.safetensors', tmp_path / 'b.safetensors'
    weights = {name: value.half() if value.ndim > 1 and value.is_floating_point() else value
               for name, value in read_checkpoint(toy[0]).items()}
    write_checkpoint(source, weights, dict(card='a.md'))
    assert cli.main(['calibrate', CONFIG, str(source), '--output', str(output)]) == 0
    tensors, meta = open_checkpoint(output)
    assert meta['card'] == 'a.md' and BatchPredictor(CONFIG, output).calibration
    assert all(tensors[name].dtype == value.dtype for name, value in weights.items())


def test_a_calibration_of_other_joints_is_refused(toy, tmp_path):
    config = Config.fromfile(CONFIG)
    info = Config.fromfile(ROOT / 'configs/refinepose_tiny_toy.py').test_dataloader.dataset
    from refinepose_mm.deploy.config import metainfo_of
    names = metainfo_of(info)['keypoint_id2name']
    joints = {number: dict(name=f'my_{name}', id=number, swap='', color=[0, 0, 0], type='')
              for number, name in names.items()}
    config.test_dataloader.dataset.metainfo = dict(
        dataset_name='mine', paper_info={}, keypoint_info=joints, skeleton_info={},
        joint_weights=[1.] * 17, sigmas=[.05] * 17)
    config.dump(tmp_path / 'mine.py')
    BatchPredictor(tmp_path / 'mine.py', toy[0])
    for reader in (load_model, BatchPredictor):
        with pytest.raises(ValueError, match="it has 'nose' where the config has 'my_nose'"):
            reader(tmp_path / 'mine.py', toy[1])


def test_cross_fitting_looks_at_other_images_only():
    """Persons of an image are noise of their own: whoever learns from them seems to be better."""
    heights = np.arange(600.).reshape(300, 2) / 600
    similarities = np.random.default_rng(0).integers(0, 2, (300, 2)).astype(float)
    persons = Persons(heights, similarities, np.arange(300) // 100, np.zeros((300, 2, 2)))
    found = cross_fitted(('a', 'b'), persons, folds=3, seed=0)
    changed = similarities.copy()
    changed[:100] = 1
    again = cross_fitted(('a', 'b'), persons._replace(similarities=changed), folds=3, seed=0)
    np.testing.assert_array_equal(found.keypoints[:100], again.keypoints[:100])
    assert (found.keypoints[100:] != again.keypoints[100:]).mean() > .5
    errors = errors_of(again, changed)
    assert 0 < errors['ece'] and len(errors['ece_of_joints']) == 2
    assert errors['oks'] == pytest.approx(np.abs(again.persons - changed.mean(1)).mean(), abs=1e-4)


def test_mistakes_end_in_one_line(toy, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words, message in (
            ([CONFIG, 'none.pth'], 'none.pth not found'),
            ([CONFIG, str(toy[0]), '--folds', '1'], '--folds must be at least 2, got 1'),
            ([CONFIG, str(toy[0]), '--output', str(toy[0])], 'is the input'),
            ([CONFIG, str(toy[0]), '--output', 'a.onnx'], 'the output must end in .pth'),
            ([DEMO, DEMO], 'demo.py has no val_dataloader.dataset.ann_file'),
            ([CONFIG, DEMO], f'{bundled(DEMO).weights} is not of this config')):
        assert cli.main(['calibrate', *words]) == 2
        assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_words_have_a_row_for_each_joint(toy, capsys):
    text = in_words(BatchPredictor(CONFIG, toy[1]).calibration).splitlines()
    assert text[0].startswith('21 persons of person_keypoints_val.json; a keypoint is right from '
                              'OKS 0.5 on; cross-fitted in 5 parts, seed 0:')
    assert [line.split()[0] for line in text[5:7]] == ['nose', 'left_eye']
