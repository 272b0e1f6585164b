"""`compile` in a config, applied to the network instead of to the whole training step."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class CompileNetworkHook(Hook):
    """Let MMEngine's ``compile`` option compile backbone and head, each as one graph.

    MMEngine hands the whole ``train_step`` to ``torch.compile``: data samples, accuracy in numpy
    and optimizer included. Recent torch fails on the data samples (tested: 2.13), and there is
    nothing to win in them. ``compile=True`` or a dict of options of ``torch.compile`` in the
    config works as MMEngine documents it.
    """

    def before_run(self, runner: Runner) -> None:
        """Take the option from the config before MMEngine acts on it."""
        options = runner.cfg.pop('compile', None)
        if not options:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        options = {'fullgraph': True, **({} if options is True else options)}
        for network in (model.backbone, model.head):
            network.forward = torch.compile(network.forward, **options)
        runner.logger.info('Backbone and head are compiled; the first iterations are slow.')
