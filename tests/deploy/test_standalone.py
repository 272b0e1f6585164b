"""The script of docs/deploy.md finds what BatchPredictor finds."""

import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmpose.apis import init_model
from peaks import give_peaks

from refinepose_mm.datasets.toy_people import draw_scene
from refinepose_mm.deploy.export import export
from refinepose_mm.deploy.predictor import BatchPredictor

CONFIG = str(ROOT / 'configs/refinepose_tiny_toy.py')


def test_the_script_equals_batch_predictor(tmp_path, monkeypatch):
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package, reason=f'{package} is not installed')
    blocks = re.findall(r'```python\n(.*?)```', (ROOT / 'docs/deploy.md').read_text(), re.DOTALL)
    script, = (block for block in blocks if 'import onnxruntime' in block)
    for package in ('refinepose_mm', 'torch', 'mm'):
        assert f'import {package}' not in script
    torch.manual_seed(0)
    model = give_peaks(init_model(CONFIG, device='cpu'))
    export(model, tmp_path / 'model.onnx', decode=True)
    image, _ = draw_scene(np.random.default_rng(0), 1)
    cv2.imwrite(str(tmp_path / 'photo.png'), image)
    monkeypatch.setattr(sys, 'argv', ['serve.py', str(tmp_path / 'model.onnx'),
                                      str(tmp_path / 'photo.png')])
    space = {}
    exec(compile(script, 'serve.py', 'exec'), space)
    (tmp_path / 'serve.py').write_text(script)
    printed = subprocess.run([sys.executable, 'serve.py', 'model.onnx', 'photo.png'], cwd=tmp_path,
                             capture_output=True, text=True).stdout
    assert len(printed.splitlines()) == 17 and printed.startswith('nose: ')
    predictor = BatchPredictor(CONFIG, tmp_path / 'model.onnx')
    for box in ([0, 0, 320, 240], [40.5, 30, 200, 230], [-20, 100, 340, 150]):
        expected = predictor(image, np.array([box]))
        keypoints, scores = space['predict'](image, box)
        pixel = max((box[2] - box[0]) / 96, (box[3] - box[1]) / 128) * 1.25  # of the crop
        assert np.abs(keypoints - expected.keypoints[0]).max() < .01 * pixel
        np.testing.assert_allclose(scores, expected.scores[0], atol=1e-4)
