"""Pretrained encoders from the files that people have: `EncoderWeights`, `refinepose weights`.

========================  =======================================================================
module                    what it knows
========================  =======================================================================
:mod:`.formats`           the formats, as tables, and what is refused
:mod:`.heads`             how many attention heads a checkpoint has
:mod:`.conversion`        the rules that make our tensors of theirs
:mod:`.loading`           :class:`EncoderWeights`, :func:`load_encoder` and their report
:mod:`.command`           `refinepose weights`
========================  =======================================================================

Every key of a file ends as loaded, as deliberately left out, or in an error that lists it; nothing
is dropped in silence.
"""

from .command import add_arguments, run
from .loading import EncoderWeights, Report, load_encoder

__all__ = ['EncoderWeights', 'Report', 'add_arguments', 'load_encoder', 'run']
