"""The steps of a transplant: deterministic by seed, and resumable to the same end."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ..files import replacing
from .crops import Crops
from .losses import Distances, distances, equal_peaks
from .models import align, learning, see

WARM_UP = .1  # share of the steps
CLIP = 1.  # largest norm of a gradient
REPORTS = 10  # in a run
SAVE_EVERY = 60  # seconds


class Plan(NamedTuple):
    """How a transplant learns.

    Attributes:
        steps: Their number.
        batch: Persons of a step.
        lr: Highest learning rate of AdamW.
        head: 'keep' or 'fusion'.
        seed: Of all randomness.
    """

    steps: int
    batch: int
    lr: float
    head: str
    seed: int

    def rate(self, step: int) -> float:
        """Learning rate of a step: a rising line, then a cosine to 0."""
        warm = max(1, round(WARM_UP * self.steps))
        if step < warm:
            return self.lr * (step + 1) / warm
        return self.lr * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm))) / 2


class Result(NamedTuple):
    """Where it ended, on photos that no step has seen.

    Attributes:
        distances: From the source.
        peaks: Share of joints whose maximum is where the source has it.
    """

    distances: Distances
    peaks: float

    def __str__(self) -> str:
        return f'{self.distances}; {self.peaks:.0%} of the peaks where the source has them'


def transplant(source: nn.Module, target: nn.Module, crops: Crops, plan: Plan, state: Path,
               resume: bool, say: Callable[[str], None] = print) -> Result:
    """Let the target learn from the source.

    Args:
        source: The ViTPose.
        target: Takes the result.
        crops: What both look at.
        plan: How.
        state: File that the run could go on from; it is deleted at the end.
        resume: Go on from it.
        say: Takes lines of progress.

    Raises:
        OSError: If the state or a photo cannot be read, or the state not be written.
        ValueError: If the state is of another run.
        FloatingPointError: If the loss is not finite.
    """
    device = next(source.parameters()).device
    parts = learning(target, plan.head)
    optimizer = torch.optim.AdamW(parts.parameters(), lr=plan.lr, weight_decay=.01)
    first = _load(state, parts, optimizer, plan) if resume else 0
    held_out = crops.held_out_batch().to(device)
    if not first:
        with torch.no_grad():
            align(target, see(source, crops.batch(0, plan.batch).to(device)))
    started = saved = time.monotonic()
    if first:
        say(f'going on after step {first}')
    with ThreadPoolExecutor(1) as reader:  # reads the next crops while the model learns
        waiting = reader.submit(crops.batch, first, plan.batch)
        for step in range(first, plan.steps):
            images = waiting.result().to(device)
            if step + 1 < plan.steps:
                waiting = reader.submit(crops.batch, step + 1, plan.batch)
            loss = _step(source, target, parts, optimizer, images, plan.rate(step))
            if not math.isfinite(loss):
                raise FloatingPointError(f'the loss of step {step + 1} is {loss}; use a lower --lr')
            done, now = step + 1, time.monotonic()
            if done % max(1, plan.steps // REPORTS) == 0 and done < plan.steps:
                left = (now - started) / (done - first) * (plan.steps - done)
                say(f'step {done} of {plan.steps}: {compare(source, target, held_out)}; '
                    f'{_minutes(left)} left')
                parts.train()
            if now - saved > SAVE_EVERY and done < plan.steps:
                _save(state, parts, optimizer, plan, done)
                saved = time.monotonic()
    result = compare(source, target, held_out)
    state.unlink(missing_ok=True)
    return result


def _step(source: nn.Module, target: nn.Module, parts: nn.Module, optimizer: torch.optim.Optimizer,
          images: torch.Tensor, rate: float) -> float:
    with torch.no_grad():
        expected = see(source, images)
    # The encoder is frozen and plain, but what it makes of the tokens counts, too.
    loss = sum(distances(see(target, images), expected))
    for group in optimizer.param_groups:
        group['lr'] = rate
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(parts.parameters(), CLIP)
    optimizer.step()
    return float(loss.detach())


@torch.no_grad()
def compare(source: nn.Module, target: nn.Module, images: torch.Tensor) -> Result:
    """How far the target is, as it predicts."""
    target.eval()
    found, expected = see(target, images), see(source, images)
    return Result(distances(found, expected), equal_peaks(found.heatmaps, expected.heatmaps))


def _save(state: Path, parts: nn.Module, optimizer: torch.optim.Optimizer, plan: Plan,
          done: int) -> None:
    with replacing(state) as path:
        torch.save(dict(parts=parts.state_dict(), optimizer=optimizer.state_dict(),
                        plan=plan._asdict(), done=done), path)


def _load(state: Path, parts: nn.Module, optimizer: torch.optim.Optimizer, plan: Plan) -> int:
    """Go on from a file; how many steps are done."""
    if not state.is_file():
        raise FileNotFoundError(f'nothing to go on from: {state} not found; it is written once a '
                                'minute')
    try:
        content: Any = torch.load(state, map_location='cpu', weights_only=True)
        before = Plan(**content['plan'])
        done = int(content['done'])
        if before != plan:
            raise ValueError(f'{state} is of another run: {before}, got {plan}')
        parts.load_state_dict(content['parts'])
        optimizer.load_state_dict(content['optimizer'])
    except (RuntimeError, KeyError, TypeError, pickle.UnpicklingError, EOFError) as error:
        line = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f'{state} is no state of this transplant: {line}') from None
    return done


def _minutes(seconds: float) -> str:
    return f'{seconds / 60:.0f} minutes' if seconds > 90 else f'{seconds:.0f} s'
