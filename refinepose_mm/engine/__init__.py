"""How RefinePose is trained: learning rates by depth, repeatable epochs, safe checkpoints."""

from .bfloat16 import BFloat16OptimWrapper
from .checkpoint import AtomicCheckpointHook
from .compile_network import CompileNetworkHook
from .epoch_seed import EpochSeedHook, seed_worker
from .finite_loss import FiniteLossHook
from .layer_wise_lr import LayerWiseLRConstructor
from .memory import KeepMemoryHook, keep_memory
from .preflight import PreflightHook, problems_of

__all__ = [
    'AtomicCheckpointHook', 'BFloat16OptimWrapper', 'CompileNetworkHook', 'EpochSeedHook',
    'FiniteLossHook', 'KeepMemoryHook', 'LayerWiseLRConstructor', 'PreflightHook', 'keep_memory',
    'problems_of', 'seed_worker'
]
