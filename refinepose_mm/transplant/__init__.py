"""`refinepose transplant`: from a trained ViTPose to a RefinePose that starts near its accuracy.

=================  ==============================================================================
module             what it knows
=================  ==============================================================================
:mod:`.crops`      crops of persons without labels, drawn anew for each step
:mod:`.models`     the source, and the RefinePose that learns from it
:mod:`.losses`     how far the one is from the other
:mod:`.loop`       the steps, held-out photos, and a state to go on from
:mod:`.command`    `refinepose transplant`
=================  ==============================================================================

A fresh stem hands a trained encoder tokens that it has never seen, and identity shortcuts make
another function of it. So the stem learns to give the source's tokens, on photos without labels,
and shortcuts are gates that start at 0: the encoder goes on as the function that it was trained as.
"""

from .command import add_arguments, run

__all__ = ['add_arguments', 'run']
