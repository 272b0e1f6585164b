"""The benchmark of data workers: annotations are shared with them only if they are serialized."""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from conftest import ROOT


@pytest.mark.skipif(not Path('/proc/self/smaps_rollup').is_file(), reason='reads Linux\'s /proc')
def test_serialized_annotations_are_shared_and_lists_are_not(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'projects/benchmark'))
    workers = importlib.import_module('workers')
    photo, output = tmp_path / 'photo.jpg', tmp_path / 'workers.json'
    cv2.imwrite(str(photo), np.zeros((120, 160, 3), np.uint8))
    monkeypatch.setattr(sys, 'argv', [
        'workers.py', '--photo', str(photo), '--output', str(output), '--persons', '4000',
        '--workers', '1', '--epochs', '2'])
    workers.main()
    result = json.loads(output.read_text())
    assert len(result['first_batch_s']) == 2 and result['build_s'] > 0
    memory = result['worker_mib']
    assert memory['serialized'] < memory['list'] / 2


def test_the_end_of_workers_is_not_timed(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'projects/benchmark'))
    workers = importlib.import_module('workers')

    clock = [0]
    monkeypatch.setattr(workers, 'time', SimpleNamespace(perf_counter=lambda: clock[-1]))

    class Batches:
        def __iter__(self):
            return self

        def __next__(self):
            return 0

        def __del__(self):
            clock.append(clock[-1] + 5)

    class Loader:
        def __iter__(self):
            return Batches()

    assert workers.first_batches(Loader(), 2) == [0, 0]
    assert clock == [0, 5, 10]
