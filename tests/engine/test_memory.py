"""Freed memory stays with the process, in trainings on CPUs alone."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from refinepose_mm.engine import KeepMemoryHook, keep_memory

# In a process of its own, which is to return what it was given before.
GROW_AND_SHRINK = '''
import sys
import torch
from refinepose_mm.benchmark.measure import process_status
from refinepose_mm.engine import keep_memory

if 'keep' in sys.argv:
    assert keep_memory()
before = process_status('VmRSS')
tensor = torch.ones(64 * 2**20 // 4)
del tensor
print(process_status('VmRSS') - before)
'''


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='mallopt is glibc\'s')
def test_a_large_tensor_leaves_its_memory():
    def left(*words):
        done = subprocess.run([sys.executable, '-c', GROW_AND_SHRINK, *words],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return float(done.stdout)
    assert left() < 16 < 48 < left('keep')


@pytest.mark.parametrize('device, expected', [('cpu', 1), ('meta', 0)])
def test_the_hook_acts_on_cpus_alone(device, expected, monkeypatch):
    calls, messages = [], []
    monkeypatch.setattr('refinepose_mm.engine.memory.keep_memory',
                        lambda: calls.append(1) or True)
    runner = SimpleNamespace(model=nn.Linear(1, 1, device=torch.device(device)),
                             logger=SimpleNamespace(info=messages.append))
    KeepMemoryHook().before_train(runner)
    assert len(calls) == len(messages) == expected


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, 'platform', 'darwin')
    assert keep_memory() is False
