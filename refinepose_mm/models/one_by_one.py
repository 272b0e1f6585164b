"""Large batches on a CPU, person by person where that is faster."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# glibc takes each piece of memory above this from the system anew and gives it back; one person's
# maps are smaller. Measured: a forward pass of RefinePose-B at batch 8 takes 0.90 of its time.
LARGE = 32 * 2**20


def prefers_one_by_one(module: nn.Module, x: Tensor, values_per_person: int) -> bool:
    """Whether a module should infer the persons of a batch one after the other.

    Args:
        module: Must be in evaluation mode, for the statistics of a batch are not those of a person.
        x: Its input, (B, C, h, w).
        values_per_person: Of the largest map on the way.
    """
    batch = x.shape[0]
    return (isinstance(batch, int)  # a file is exported for any batch, and without a loop
            and batch > 1 and x.device.type == 'cpu'
            and not module.training and not torch.is_grad_enabled()
            and batch * values_per_person * x.element_size() > LARGE)
