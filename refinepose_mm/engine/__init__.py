"""How RefinePose is trained: learning rates by depth."""

from .layer_wise_lr import LayerWiseLRConstructor

__all__ = ['LayerWiseLRConstructor']
