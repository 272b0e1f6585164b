"""MMEngine's ``compile`` option for backbone and head, not for the whole training step."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class CompileNetworkHook(Hook):
    """Compile backbone and head, each as one graph, if the config has ``compile``.

    MMEngine compiles the whole ``train_step``, with data samples, numpy accuracy and optimizer.
    Recent torch fails on the data samples (tested: 2.13), and compiling them gains nothing.
    ``compile`` is True or a dict of options of ``torch.compile``, as MMEngine documents it.
    """

    def before_run(self, runner: Runner) -> None:
        """Remove the option from the config, so that MMEngine does not act on it, too."""
        options = runner.cfg.pop('compile', None)
        if not options:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        options = {'fullgraph': True, **({} if options is True else options)}
        for network in (model.backbone, model.head):
            network.forward = torch.compile(network.forward, **options)
        runner.logger.info('Backbone and head are compiled; the first iterations are slow.')
