"""From a trained model to a fast one: folded layers, exported graphs, many persons at once."""

from .fold import deploy, fold

__all__ = ['deploy', 'fold']
