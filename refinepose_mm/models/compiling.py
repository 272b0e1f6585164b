"""Whether torch.compile or torch.export is tracing: graphs are for their compiler to speed up."""

import torch

# Torch 2.1 cannot tell.
is_compiling = getattr(torch.compiler, 'is_compiling', lambda: False)
