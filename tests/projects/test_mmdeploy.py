"""MMDeploy exports a RefinePose by the config of projects/mmdeploy."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmpose.apis import init_model

# In a process of its own: MMDeploy looks through all objects, and pytest has many.
EXPORT = '''
import sys
import refinepose_mm
from mmdeploy.apis import torch2onnx
torch2onnx('photo.png', '.', 'end2end.onnx', 'deploy.py', sys.argv[1], 'model.pth', device='cpu')
'''


def test_torch2onnx_gives_the_heatmaps_of_pytorch(tmp_path):
    pytest.importorskip('mmdeploy', reason='MMDeploy is not installed')
    onnxruntime = pytest.importorskip('onnxruntime')
    path = str(ROOT / 'configs/refinepose_tiny_toy.py')
    torch.manual_seed(0)
    model = init_model(path, device='cpu')
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    width, height = model.head.decoder.input_size
    cv2.imwrite(str(tmp_path / 'photo.png'), np.full((height, width, 3), 100, np.uint8))
    deploy = Config.fromfile(ROOT / 'projects/mmdeploy/onnxruntime_static.py')
    deploy.onnx_config.input_shape = [width, height]
    deploy.dump(str(tmp_path / 'deploy.py'))
    done = subprocess.run([sys.executable, '-c', EXPORT, path], cwd=tmp_path, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    crop = torch.randn(1, 3, height, width)
    with torch.no_grad():
        expected = model.head(model.backbone(crop)).numpy()
    found, = onnxruntime.InferenceSession(
        str(tmp_path / 'end2end.onnx'), providers=['CPUExecutionProvider']).run(
            None, {'input': crop.numpy()})
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
