"""How far a model is from its source."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .models import Seen

NEAR = 2  # pixels of a heatmap


class Distances(NamedTuple):
    """Squared distances as shares of the source's own variance: 0 is equal, 1 knows nothing.

    Attributes:
        tokens: Of normalised tokens, which is what the first block's attention sees.
        features: Of the encoder's output.
        heatmaps: Of the heatmaps.
    """

    tokens: Tensor
    features: Tensor
    heatmaps: Tensor

    def __str__(self) -> str:
        return ', '.join(f'{name} {float(value):.3f}' for name, value in
                         zip(self._fields, self))


def distances(found: Seen, expected: Seen) -> Distances:
    """The distances of a batch; all of them can be learned from."""
    width = expected.tokens.shape[-1:]
    return Distances(
        _share(F.layer_norm(found.tokens, width), F.layer_norm(expected.tokens, width)),
        _share(found.features, expected.features), _share(found.heatmaps, expected.heatmaps))


def _share(found: Tensor, expected: Tensor) -> Tensor:
    variance = (expected - expected.mean(dim=(0, *range(2, expected.ndim)), keepdim=True)
                if expected.ndim == 4 else expected - expected.mean(dim=(0, 1))).square().mean()
    return (found - expected).square().mean() / variance.clamp_min(1e-12)


@torch.no_grad()
def equal_peaks(found: Tensor, expected: Tensor) -> float:
    """Share of joints whose maximum is within two pixels of the source's heatmap."""
    width = expected.shape[-1]
    one, other = (heatmaps.flatten(2).argmax(dim=-1) for heatmaps in (found, expected))
    rows = (one // width - other // width).float()
    columns = (one % width - other % width).float()
    return float((torch.hypot(rows, columns) <= NEAR).float().mean())
