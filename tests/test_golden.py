"""Files that 0.1.0 wrote are read by every later release, and give the same outputs."""

import shutil

import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmengine.runner import Runner, load_checkpoint
from mmpose.apis import init_model

from refinepose_mm.datasets import toy_people
from refinepose_mm.deploy.formats import load_exported, target_of
from refinepose_mm.deploy.network import InferenceNetwork, load_model

GOLDEN = ROOT / 'tests/golden/v0_1_0'
CONFIG = str(GOLDEN / 'config.py')
# Heatmaps and scores have peaks of .5, keypoints are pixels of the 64x48 input.
TOLERANCES = dict(heatmaps=1e-5, keypoints=1e-2, scores=1e-5)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """The unpacked folder."""
    folder = tmp_path_factory.mktemp('v0_1_0')
    shutil.unpack_archive(GOLDEN / 'files.tar.xz', folder)
    return folder


@pytest.fixture(scope='module')
def expected(files):
    """Crops (B, H, W, 3), heatmaps (B, K, h, w), keypoints (B, K, 2) and scores (B, K)."""
    with np.load(files / 'expected.npz') as arrays:
        return dict(arrays)


def inputs_of(expected):
    """Crops as exported files take them: (B, 3, H, W), float32, 0 to 255."""
    return np.ascontiguousarray(expected['crops'].transpose(0, 3, 1, 2), np.float32)


def assert_equal(found, expected, names):
    assert len(found) == len(names)
    for name, value in zip(names, found):
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=TOLERANCES[name],
                                   err_msg=name)


def our_loader(checkpoint):
    return load_model(CONFIG, checkpoint)


def mmengine_loader(checkpoint):
    model = init_model(CONFIG, device='cpu')
    load_checkpoint(model, str(checkpoint), map_location='cpu', strict=True)
    return model


@pytest.mark.parametrize('load', [our_loader, mmengine_loader])
def test_the_checkpoint_gives_the_same_heatmaps_and_keypoints(load, files, expected):
    model = load(files / 'epoch_1.pth').eval()
    images = torch.from_numpy(inputs_of(expected))
    for decode, names in ((False, ['heatmaps']), (True, ['keypoints', 'scores'])):
        with torch.no_grad():
            found = InferenceNetwork(model, decode)(images)
        assert_equal(found if decode else [found], expected, names)


def test_training_resumes_from_the_checkpoint(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy_people.generate(tmp_path / 'data/toy', num_train=2, num_val=1)
    config = Config.fromfile(CONFIG)
    config.update(load_from=str(files / 'epoch_1.pth'), resume=True)
    config.train_cfg.max_epochs = 2
    # 0.1.0 decayed the rates of an encoder from scratch, too: [] loads nothing and keeps the decay.
    config.model.backbone.init_cfg = []
    runner = Runner.from_cfg(config)
    runner.train()
    optimizer = runner.optim_wrapper.optimizer
    assert {state['step'].item() for state in optimizer.state.values()} == {4}  # two before
    resumed = torch.load(tmp_path / 'work_dirs/golden/epoch_2.pth', weights_only=True)
    assert (resumed['meta']['epoch'], resumed['meta']['iter']) == (2, 4)
    before = load_model(CONFIG, files / 'epoch_1.pth')
    for name, value in before.named_parameters():  # two steps at a rate below 1e-5
        torch.testing.assert_close(resumed['state_dict'][name], value.data, rtol=0, atol=1e-4)


@pytest.mark.parametrize('name', ['heatmaps.onnx', 'keypoints.onnx', 'heatmaps.xml',
                                  'heatmaps.pt2'])
def test_exported_files_give_the_same_outputs(name, files, expected):
    for package in target_of(name).packages:
        pytest.importorskip(package, reason=f'{package} is not installed')
    names = ['heatmaps'] if name.startswith('heatmaps') else ['keypoints', 'scores']
    assert_equal(load_exported(files / name, trust=True)(inputs_of(expected)), expected, names)
