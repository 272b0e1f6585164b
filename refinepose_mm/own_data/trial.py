"""The first steps of a run, measured: that it works, what it needs, and how long it would take."""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from contextlib import redirect_stdout, suppress
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..deploy.config import explained

ENOUGH_STEPS, ENOUGH_SECONDS = 4, 5  # both; the first step warms up
MOST_STEPS, MOST_SECONDS = 20, 60  # either


class Trial(NamedTuple):
    """What was measured, and what follows for a run on this machine. Times are in seconds.

    Attributes:
        parameters: Number of the model's parameters.
        batch: Persons of a step.
        load: To load a batch, in one process.
        step: For forward, backward and optimizer.
        steps: Of an epoch.
        epochs: Of the run; with loops by iteration, the fraction of one epoch or more.
        validation: For the whole validation set once; 0 if there is none.
        validations: How often the run does that.
        memory: Peak of this process, in MiB.
        gpu_memory: Peak on the GPU, in MiB; 0 without one.
        loss: Of the last step.
    """

    parameters: int
    batch: int
    load: float
    step: float
    steps: int
    epochs: float
    validation: float
    validations: int
    memory: float
    gpu_memory: float
    loss: float

    def epoch(self, workers: int) -> float:
        """Seconds of an epoch, without validation; workers load while the model learns."""
        each = max(self.step, self.load / workers) if workers else self.step + self.load
        return self.steps * each

    def run(self, workers: int) -> float:
        """Seconds of the whole run."""
        return self.epochs * self.epoch(workers) + self.validations * self.validation


class _Enough(Exception):
    """Ends a run whose first steps are measured."""


class _Stopwatch(Hook):
    """Times steps, then one batch of the validation, then ends the run."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.begun = self.last = time.perf_counter()
        self.loads: list[float] = []
        self.steps: list[float] = []
        self.result: Trial | None = None

    def before_train_epoch(self, runner: Runner) -> None:
        self.begun = self.last = time.perf_counter()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        self.loads.append(_now() - self.last)
        self.last = _now()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None,
                         outputs: dict = {}) -> None:
        self.steps.append(_now() - self.last)
        self.last = _now()
        count, elapsed = len(self.steps), self.last - self.begun
        loop = runner.train_loop
        last = count >= len(loop.dataloader) or count >= loop.max_iters
        if (last or count >= MOST_STEPS or elapsed >= MOST_SECONDS
                or (count >= ENOUGH_STEPS and elapsed >= ENOUGH_SECONDS)):
            self.result = self._summary(runner, float(outputs['loss'].detach()))
            raise _Enough

    def _summary(self, runner: Runner, loss: float) -> Trial:
        loop = runner.train_loop
        steps = len(loop.dataloader)
        epochs = (loop.max_epochs if isinstance(loop, EpochBasedTrainLoop) else
                  loop.max_iters / steps)
        validation, validations = 0., 0
        if runner.val_loop is not None:
            span = loop.max_epochs if isinstance(loop, EpochBasedTrainLoop) else loop.max_iters
            validations = sum(time % loop.val_interval == 0 or time == span
                              for time in range(loop.val_begin, span + 1))
            validation = _time_validation(runner)
        gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.
        return Trial(
            sum(parameter.numel() for parameter in runner.model.parameters()),
            loop.dataloader.batch_size, _typical(self.loads), _typical(self.steps), steps, epochs,
            validation, validations, _peak(), gpu, loss)


def measure(config: Config) -> Trial:
    """Begin a run in a folder that is deleted afterwards, and end it after some steps.

    Model, weights, pipelines, optimizer and hooks are the run's; photos are loaded in this
    process, so that their time is known apart.

    Raises:
        OSError: If a file of the run cannot be read.
        ValueError: If a part cannot be built, or does not fit the others.
        FloatingPointError: If the loss is not finite.
    """
    config = config.copy()
    for name in ('train_dataloader', 'val_dataloader'):
        if config.get(name):
            config[name].update(num_workers=0, persistent_workers=False)
            config[name].pop('prefetch_factor', None)
    config.log_level, config.resume, config.launcher = 'WARNING', False, 'none'
    watch = _Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        config.work_dir = folder
        # MMEngine keeps both by name, with the folder of the run that was the first to ask.
        config.experiment_name = folder.replace('/', '_')
        config.visualizer = dict(type='PoseLocalVisualizer', name=config.experiment_name)
        what = f'{config.filename or "the config"} cannot be trained'
        # What MMEngine logs and MMPose prints is no part of what a command says.
        with explained(what), suppress(_Enough), redirect_stdout(sys.stderr):
            runner = Runner.from_cfg(config)
            runner.register_hook(watch)
            runner.train()
    assert watch.result is not None
    return watch.result


def _time_validation(runner: Runner) -> float:
    """Seconds of the validation set, by one batch."""
    loader = runner.val_loop.dataloader
    runner.model.eval()
    start = _now()
    with torch.no_grad():
        runner.model.val_step(next(iter(loader)))
    seconds = (_now() - start) * len(loader)
    runner.model.train()
    return seconds


def _typical(seconds: list[float]) -> float:
    return statistics.median(seconds[1:] or seconds)


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _peak() -> float:
    """MiB that this process has had at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == 'darwin' else 2**10)  # bytes on macOS, else KiB


def duration(seconds: float) -> str:
    """Such as '40 seconds', '12 minutes', '5.5 hours' or '3.1 days'."""
    for unit, length in (('days', 86400), ('hours', 3600)):
        if seconds >= 2 * length:
            return f'{seconds / length:.1f} {unit}'
    if seconds >= 120:
        return f'{seconds / 60:.0f} minutes'
    return f'{seconds:.0f} seconds' if seconds >= 10 else f'{seconds:.2g} seconds'
