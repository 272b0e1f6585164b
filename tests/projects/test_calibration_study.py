"""The study of calibration measures what its README says."""

import importlib.util
import json

import numpy as np
import pytest
from conftest import ROOT

from refinepose_mm.deploy.calibrate import Scores


@pytest.fixture(scope='module')
def measure():
    spec = importlib.util.spec_from_file_location(
        'measure', ROOT / 'projects/calibration/measure.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_average_precision_is_high_for_who_ranks_good_ones_first(measure, tmp_path):
    rng = np.random.default_rng(0)
    places = rng.uniform(20, 80, (6, 3, 2))
    found = places.copy()
    found[3:] += 60  # half of the persons are not found
    path = tmp_path / 'val.json'
    path.write_text(json.dumps(dict(
        images=[dict(id=number) for number in range(6)], categories=[dict(id=1)],
        annotations=[dict(
            id=1 + number, image_id=number, category_id=1, iscrowd=0, num_keypoints=3, area=2500,
            bbox=[0, 0, 100, 100],
            keypoints=np.column_stack([points, np.full(3, 2)]).flatten().tolist())
            for number, points in enumerate(places)])))
    sigmas = np.full(3, .08)
    good, bad = ([1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1])
    precisions = [measure.average_precision(path, found, np.array(scores), list(range(6)), sigmas)
                  for scores in (good, bad)]
    assert precisions[0] == pytest.approx(50, abs=1) and 0 < precisions[1] < 35


def test_a_threshold_shows_a_share(measure):
    scores, right = np.array([.1, .4, .6, .9]), np.array([False, True, False, True])
    found = measure.shown(scores, right, .5)
    assert (found['shown'], found['right'], found['found']) == (.5, .5, .5)
    scores = np.random.default_rng(0).uniform(size=(500, 14))
    chance = measure.perfect(Scores(scores, scores.mean(1)), seed=1)
    assert 0 < chance['ece'] < .03 < chance['joints'] < .06


def test_the_tables_of_the_readme_are_the_results(measure):
    folder = ROOT / 'projects/calibration'
    results = json.loads((folder / 'results.json').read_text())
    text = (folder / 'README.md').read_text()
    for name, row in results.items():
        cells = [f'{row[kind]["ece"]:.4f}' for kind in ('heights', 'own', 'eager')]
        cells += [f'{row[kind]["oks"]:.4f}' for kind in ('heights', 'own')]
        cells += [f'{row[kind]["ap"]:.2f}' for kind in ('heights', 'own', 'eager')]
        assert f'| {name} | {" | ".join(cells)} |' in text
