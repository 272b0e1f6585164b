"""How RefinePose is trained: learning rates by depth, repeatable epochs, compilation, memory."""

from .compile_network import CompileNetworkHook
from .epoch_seed import EpochSeedHook, seed_worker
from .layer_wise_lr import LayerWiseLRConstructor
from .memory import KeepMemoryHook, keep_memory

__all__ = [
    'CompileNetworkHook', 'EpochSeedHook', 'KeepMemoryHook', 'LayerWiseLRConstructor',
    'keep_memory', 'seed_worker'
]
