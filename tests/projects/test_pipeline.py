"""The benchmark of the data pipeline: all three prepare the same samples."""

import importlib
import json
import sys

import pytest
from conftest import ROOT


@pytest.mark.parametrize('megapixels', [None, 1.5])
def test_pipelines_prepare_the_same_samples(megapixels, coco_mini, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / 'projects/benchmark'))
    pipeline = importlib.import_module('pipeline')
    output = tmp_path / 'times.json'
    monkeypatch.setattr(sys, 'argv', [
        'pipeline.py', '--coco', str(coco_mini), '--samples', '4', '--rounds', '1', '--output',
        str(output), *(['--megapixels', str(megapixels)] if megapixels else [])])
    pipeline.main()
    result = json.loads(output.read_text())
    assert result['samples'] == 4 and result['megapixels'] == megapixels
    assert {name: len(times) for name, times in result['seconds'].items()} == dict.fromkeys(
        ('mmpose', 'complete', 'crop'), 1)
    different = result['differences']
    assert all(difference['target'] < 1e-5 for difference in different.values())
    assert different['complete']['crop'] < .5  # two decoders of JPEG
    assert 0 < different['crop']['crop'] < 5  # large persons, whose photos are reduced
    assert '| crop |' in capsys.readouterr().out
