"""A loss of NaN or infinity stops the run before it reaches the weights."""

from __future__ import annotations

import functools
from typing import Any

import torch
from mmengine.dist import all_reduce, is_distributed
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

from .plain import non_finite


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Check each loss before the backward pass; name iteration and images if it is not finite.

    Only the loss counts: with AMP, infinite gradients are normal and the loss scaler drops them.
    All processes of a distributed run act alike, for the cost of one reduced number per step.

    Args:
        action: ``stop`` ends the run with an error. ``skip`` leaves out the step, gives buffers
            such as running means their values back, and warns; with gradient accumulation the
            batch counts as not seen. It stops, too, if the parameters are not finite.

    Raises:
        ValueError: For another action.
    """

    def __init__(self, action: str = 'stop'):
        if action not in ('stop', 'skip'):
            raise ValueError(f"action is 'stop' or 'skip', got {action!r}")
        self.action = action
        self.num_skipped = 0
        self._batch: dict | None = None
        self._buffers: list[tuple[Tensor, Tensor]] = []

    def before_train(self, runner: Runner) -> None:
        """Put the check in front of the optimizer wrapper.

        A wrapper of our own would do as well, but ``--amp`` accepts MMEngine's two alone.
        """
        wrapper = runner.optim_wrapper
        wrapper.update_params = functools.partial(self._update, runner, wrapper.update_params)

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: dict | None = None) -> None:
        """Keep the batch, whose images the error names, and what its forward pass changes."""
        self._batch = data_batch
        if self.action == 'skip':
            self._buffers = [(buffer, buffer.clone()) for buffer in runner.model.buffers()]

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Let go of the batch."""
        self._batch, self._buffers = None, []

    def after_train(self, runner: Runner) -> None:
        """Say how many steps were left out."""
        if self.num_skipped:
            runner.logger.warning(
                f'{self.num_skipped} steps were left out: their losses were not finite.')

    def _update(self, runner: Runner, update: OptimWrapper.update_params, loss: Tensor,
                *args: Any, **kwargs: Any) -> None:
        """Update the parameters if the loss is finite in every process."""
        bad = ~torch.isfinite(loss.detach()).all()
        if is_distributed():
            everywhere = bad.float()
            all_reduce(everywhere, op='max')
            bad = everywhere > 0
        if not bad:
            update(loss, *args, **kwargs)
            return
        message = (f'loss is {loss.item()} at iteration {runner.iter + 1} '
                   f'(epoch {runner.epoch + 1}); {describe(self._batch)}')
        broken = non_finite(dict(runner.model.named_parameters()))
        if broken:
            message += f'; parameters are not finite either, first {broken[0]}'
        if self.action == 'stop' or broken:
            raise FloatingPointError(message)
        for buffer, before in self._buffers:
            buffer.copy_(before)
        self.num_skipped += 1
        runner.logger.warning(f'Step left out: {message}')


def describe(batch: dict | None) -> str:
    """The images of a batch, and those of them whose input or target is not finite."""
    batch = batch if isinstance(batch, dict) else {}
    samples = batch.get('data_samples') or []
    names = [str(sample.metainfo.get('img_path', '?')) for sample in samples]
    if not names:
        return 'the batch has no image names'
    culprits = [name for name, sample, image in zip(names, samples, batch['inputs'])
                if not all(map(_is_finite, (image, *_targets(sample))))]
    found = f'; not finite already in input or target: {", ".join(culprits)}' if culprits else ''
    return f'images: {", ".join(names)}{found}'


def _targets(sample: Any) -> list[Tensor]:
    return [value for part in ('gt_fields', 'gt_instance_labels') if part in sample
            for value in getattr(sample, part).values()]


def _is_finite(value: object) -> bool:
    return not isinstance(value, Tensor) or bool(torch.isfinite(value).all())
