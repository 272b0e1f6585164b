"""How RefinePose is trained: learning rates by depth, repeatable epochs, compilation."""

from .compile_network import CompileNetworkHook
from .epoch_seed import EpochSeedHook, seed_worker
from .layer_wise_lr import LayerWiseLRConstructor

__all__ = ['CompileNetworkHook', 'EpochSeedHook', 'LayerWiseLRConstructor', 'seed_worker']
