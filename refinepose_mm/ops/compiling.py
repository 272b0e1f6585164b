"""Whether torch.compile or torch.export traces; eager-only tricks are skipped then."""

import torch

# Torch 2.1 has no such function.
is_compiling = getattr(torch.compiler, 'is_compiling', lambda: False)
