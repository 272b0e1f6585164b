"""One encoder, a head for each data set: how ViTPose learns from several sets at once.

ViTPose (sec. 3.3) trains one encoder on COCO, AI Challenger, MPII and CrowdPose with a decoder for
each of them. A sample goes to the head of the set that it comes from; joints need not be matched.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.model import ModuleDict
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import MODELS
from torch import Tensor, nn

Features = TypeVar('Features', bound=tuple)


@MODELS.register_module()
class MultiHeadPoseEstimator(TopdownPoseEstimator):
    """A top-down estimator with a head for each data set.

    Training sends each sample to the head of its ``dataset_name``. Tests, predictions and exported
    files take one head, the chosen one: :attr:`head`. The checkpoint holds all of them, so that
    the configs of all choices read it.

    The loss is that of a batch in which every sample counts alike: head s, of n_s among N samples,
    adds ``n_s / N`` times its own loss of these n_s.

    Args:
        backbone: Config of the encoder that the heads share.
        head: Config of the chosen head.
        dataset: Name of its data set, as the set's metainfo says it.
        associates: The other data sets: name -> what their heads have different from ``head``,
            such as ``dict(out_channels=14)``.
        **kwargs: What ``TopdownPoseEstimator`` takes besides.

    Raises:
        ValueError: If ``dataset`` is also among the associates. In training, for a sample whose
            set has no head, and for SyncBN in heads over several processes. In tests, for a sample
            of a set that another head is for.
    """

    def __init__(self, backbone: dict, head: dict, dataset: str, associates: dict[str, dict],
                 **kwargs: Any):
        if dataset in associates:
            raise ValueError(f'the head of {dataset} is model.head, so model.associates must not '
                             'have one, too')
        super().__init__(backbone=backbone, head=head, **kwargs)
        self.dataset = dataset
        self.heads = ModuleDict({  # the head that MMPose has built is one of several
            dataset: self._modules.pop('head'),
            **{name: MODELS.build({**head, **change}) for name, change in associates.items()}})

    @property
    def head(self) -> nn.Module:
        """The chosen head."""
        return self.heads[self.dataset]

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Losses and accuracies of each head, ``loss_kpt_coco`` and so on.

        Args:
            inputs: Images (B, 3, H, W), normalised.
            data_samples: With ``dataset_name``, heatmaps and weights of that set's joints.
        """
        features = self.extract_feat(inputs)
        indices: dict[str, list[int]] = {name: [] for name in self.heads}
        for index, sample in enumerate(data_samples):
            name = sample.metainfo.get('dataset_name')
            if name not in indices:
                raise ValueError(f'a training sample is of data set {name!r}, which has no head; '
                                 f'heads: {", ".join(indices)}')
            indices[name].append(index)
        losses = {}
        for name, head in self.heads.items():
            chosen = indices[name]
            if not chosen:
                losses[f'loss_kpt_{name}'] = _nothing(head)
                continue
            found = head.loss(_of(features, chosen), [data_samples[i] for i in chosen],
                              train_cfg=self.train_cfg)
            share = len(chosen) / len(data_samples)
            for key, value in found.items():
                losses[f'{key}_{name}'] = value * share if 'loss' in key else value
        return losses

    def predict(self, inputs: Tensor, data_samples: list) -> list:
        """Keypoints by the chosen head, as ``TopdownPoseEstimator`` gives them."""
        for sample in data_samples:
            name = sample.metainfo.get('dataset_name')
            if name in self.heads and name != self.dataset:
                raise ValueError(f'the chosen head is of {self.dataset}, the sample of {name}; '
                                 f'take a config with model.dataset={name!r}')
        return super().predict(inputs, data_samples)

    def _load_state_dict_pre_hook(self, state_dict: dict, prefix: str, local_meta: dict,
                                  *args: Any, **kwargs: Any) -> None:
        """Let the checkpoint of a model with one head be that of the chosen head."""
        super()._load_state_dict_pre_hook(state_dict, prefix, local_meta, *args, **kwargs)
        single = [key for key in state_dict if key.startswith(f'{prefix}head.')]
        for key in single:
            rest = key[len(f'{prefix}head.'):]
            state_dict[f'{prefix}heads.{self.dataset}.{rest}'] = state_dict.pop(key)
        if single:
            print_log(f'the checkpoint has one head, taken for {self.dataset}', 'current')


def _of(features: Features, indices: list[int]) -> Features:
    """The features of some samples of a batch; a tuple in a tuple, too."""
    parts = [_of(part, indices) if isinstance(part, tuple) else part[indices]
             for part in features]
    kind = type(features)
    return kind(*parts) if hasattr(features, '_fields') else kind(parts)


def _nothing(head: nn.Module) -> Tensor:
    """0, by way of every parameter: in DDP each process must have a gradient for each of them."""
    if get_world_size() > 1 and any(isinstance(m, nn.SyncBatchNorm) for m in head.modules()):
        raise ValueError('SyncBN in a head waits for all processes, but this one has no sample of '
                         'its data set; train heads of several sets without sync_bn')
    return torch.stack([parameter.sum() * 0 for parameter in head.parameters()]).sum()
