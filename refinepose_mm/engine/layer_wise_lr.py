"""Learning rates that decay from the last encoder block towards the input.

MMPose's own constructor scales everything below ``backbone.patch_embed`` as the deepest layer
(0.024 for base) and never reads ``custom_keys``. A freshly initialised stem must train at the
full rate, so here the backbone tells the depth of each of its parameters.
"""

from __future__ import annotations

from typing import Any

from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

KNOWN_KEYS = {'layer_decay_rate', 'custom_keys'}
KNOWN_CUSTOM_KEYS = {'lr_mult', 'decay_mult'}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerWiseLRConstructor(DefaultOptimWrapperConstructor):
    """Optimizer wrapper constructor with layer-wise learning-rate decay, as in ViTPose.

    The learning rate of a backbone parameter of depth d out of n is
    ``lr * layer_decay_rate ** (n - 1 - d)``; the backbone says both numbers in
    ``get_layer_depth(name)``. Everything else has the full rate. Norms, biases, gates and the
    position embedding have no weight decay.

    The decay spares what pretraining has learned. A ShortcutViT with ``init_cfg=None`` starts from
    scratch and has the full rate everywhere, whatever ``layer_decay_rate`` says; at 0.75 the first
    of 12 blocks would learn at 0.03 of the rate. To fine-tune a whole checkpoint by ``load_from``,
    leave the backbone's ``init_cfg`` as it is: the checkpoint is loaded later.

    Args:
        optim_wrapper_cfg: Config of the optimizer wrapper.
        paramwise_cfg: ``layer_decay_rate`` in (0, 1], required. ``custom_keys`` maps a part of a
            parameter's name to further factors ``lr_mult`` and ``decay_mult``; of several
            matching parts the longest counts.

    Raises:
        ValueError: For unknown keys, a rate outside (0, 1], a custom key that matches no
            parameter, or a backbone without ``get_layer_depth``.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        unknown = set(self.paramwise_cfg) - KNOWN_KEYS
        if unknown:
            raise ValueError(f'paramwise_cfg of {type(self).__name__} knows '
                             f'{", ".join(sorted(KNOWN_KEYS))}; got {", ".join(sorted(unknown))}')
        self.layer_decay_rate = self.paramwise_cfg.get('layer_decay_rate')
        if self.layer_decay_rate is None or not 0 < self.layer_decay_rate <= 1:
            raise ValueError('paramwise_cfg needs a layer_decay_rate in (0, 1], got '
                             f'{self.layer_decay_rate}')
        self.custom_keys = self.paramwise_cfg.get('custom_keys', {})
        for name, factors in self.custom_keys.items():
            unknown = set(factors) - KNOWN_CUSTOM_KEYS
            if unknown:
                raise ValueError(f'custom_keys[{name!r}] knows '
                                 f'{", ".join(sorted(KNOWN_CUSTOM_KEYS))}; '
                                 f'got {", ".join(sorted(unknown))}')

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer wrapper for a pose estimator."""
        estimator: Any = model.module if is_model_wrapper(model) else model
        if not hasattr(estimator.backbone, 'get_layer_depth'):
            raise ValueError(f'{type(self).__name__} needs a backbone with get_layer_depth, such '
                             f'as ShortcutViT; got {type(estimator.backbone).__name__}')
        self.from_scratch = getattr(estimator.backbone, 'further_init_cfg', True) is None
        if self.from_scratch and self.layer_decay_rate < 1:
            print_log(f'model.backbone.init_cfg is None: the encoder starts from scratch, so '
                      f'layer_decay_rate={self.layer_decay_rate} is not applied', logger='current')
        names = [name for name, _ in estimator.named_parameters()]
        unmatched = [key for key in self.custom_keys if not any(key in name for name in names)]
        if unmatched:
            raise ValueError(f'custom_keys match no parameter: {", ".join(unmatched)}')
        return super().__call__(estimator)

    def add_params(self, params: list[dict], module: nn.Module) -> None:
        """Sort the parameters into groups of equal learning rate and weight decay."""
        groups = {}
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            lr_scale, decay_scale = self._scales(module, name, param)
            key = (lr_scale, decay_scale)
            if key not in groups:
                groups[key] = dict(
                    params=[], param_names=[], lr_scale=lr_scale, lr=self.base_lr * lr_scale,
                    weight_decay=self.base_wd * decay_scale)
            groups[key]['params'].append(param)
            groups[key]['param_names'].append(name)
        params.extend(groups.values())

    def _scales(self, module: nn.Module, name: str, param: nn.Parameter) -> tuple[float, float]:
        """Factors of one parameter on the learning rate and on the weight decay."""
        lr_scale = 1.
        if name.startswith('backbone.') and not self.from_scratch:
            backbone: Any = module.backbone
            depth, num_depths = backbone.get_layer_depth(name[len('backbone.'):])
            lr_scale = self.layer_decay_rate**(num_depths - 1 - depth)
        # One dimension: weights and biases of norms, biases of layers, gates.
        decay_scale = 0. if param.ndim == 1 or name.endswith('pos_embed') else 1.
        matching = [key for key in self.custom_keys if key in name]
        if matching:
            factors = self.custom_keys[max(matching, key=len)]
            lr_scale *= factors.get('lr_mult', 1.)
            decay_scale *= factors.get('decay_mult', 1.)
        return lr_scale, decay_scale
