"""Kill a training at random moments, resume it each time, and look at what it left.

Usage: python kill_runs.py FOLDER KILLS. The training writes slowly and saves a last and a best
checkpoint after every epoch of two steps.
"""

import os
import random
import select
import signal
import sys
import time
import zipfile
from pathlib import Path

import torch
from small_run import EpochScore, small_run

from refinepose_mm.engine.resume import require_intact

STARTED = os.pipe()


def write_slowly(path, content):
    """A disk that takes three milliseconds per kilobyte; it tells the parent that it works."""
    os.write(STARTED[1], b'.')
    with open(path, 'wb') as file:
        for start in range(0, len(content), 1000):
            file.write(content[start:start + 1000])
            file.flush()
            time.sleep(.003)


def train(folder, epochs):
    """In a process of its own, silent; every score is better than those before."""
    Path.write_bytes = write_slowly
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    EpochScore.scores = [time.time() + number for number in range(10**4)]
    small_run(folder, epochs=epochs, resume=True, validate=True, save_best='score',
              rule='greater').train()


def check(folder, last_iteration):
    """Every checkpoint is complete, the named one exists, none is lost; the newest iteration."""
    paths = sorted(folder.glob('*.pth'))
    for path in paths:
        require_intact(path)
    named = folder / 'last_checkpoint'
    if named.exists():
        require_intact(Path(named.read_text()))
    newest = max((torch.load(path, weights_only=True)['meta']['iter'] for path in paths
                  if path.name.startswith('epoch_')), default=0)
    assert newest >= last_iteration, f'{newest} after {last_iteration}: {paths}'
    return newest


def main(folder, kills):
    """Kill, look, resume; at the end let it finish, and compare with a run that nobody killed."""
    torch.set_num_threads(1)
    small_run(folder / 'first', epochs=1).train()  # what is imported late
    moments = random.Random(0)
    newest = halves = 0
    for _ in range(kills):
        child = os.fork()
        if not child:
            train(folder / 'killed', 10**6)
        assert os.read(STARTED[0], 1)
        time.sleep(moments.uniform(0, .5))
        os.kill(child, signal.SIGKILL)
        while select.select([STARTED[0]], [], [], 0)[0]:
            os.read(STARTED[0], 999)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f'the training ended by itself: {status}'
        newest = check(folder / 'killed', newest)
        halves += any(not zipfile.is_zipfile(path)
                      for path in (folder / 'killed').glob('.*.pth.*/*.pth'))
    for name in ('killed', 'whole'):
        child = os.fork()
        if not child:
            train(folder / name, newest // 2 + 2)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0, f'{name} failed'
    killed, whole = (torch.load(folder / name / f'epoch_{newest // 2 + 2}.pth', weights_only=True)
                     for name in ('killed', 'whole'))
    for name, value in whole['state_dict'].items():
        assert torch.equal(value, killed['state_dict'][name]), name
    assert not list((folder / 'killed').glob('.*')), 'leftovers'
    assert newest and (halves or kills < 20), f'{newest} iterations, {halves} half files: no test'
    print(f'{kills} kills, {halves} in the middle of a write, {newest} iterations kept')


if __name__ == '__main__':
    main(Path(sys.argv[1]), int(sys.argv[2]))
