"""Pretrained encoders from the files that people have: `EncoderWeights`, `refinepose weights`.

========================  =======================================================================
module                    what it knows
========================  =======================================================================
:mod:`.names`             what the parts of a ViT are called by others
:mod:`.formats`           the formats, as tables, and what is refused
:mod:`.conversion`        the rules that make our tensors of theirs
:mod:`.metadata`          what stands beside the weights and no shape shows
:mod:`.heads`             how many attention heads a checkpoint has
:mod:`.source`            a checkpoint's format and the arch of its encoder
:mod:`.loading`           :class:`EncoderWeights`, :func:`load_encoder` and their report
:mod:`.proof`             the source's own code beside ours
:mod:`.pose_heads`        heads of whole ViTPoses
:mod:`.output`            encoders, models for MMPose, folders for Hugging Face
:mod:`.command`           `refinepose weights`
========================  =======================================================================

Every key of a file ends as loaded, as deliberately left out, or in an error that lists it; nothing
is dropped in silence.
"""

from .command import add_arguments, run
from .loading import EncoderWeights, Report, load_encoder

__all__ = ['EncoderWeights', 'Report', 'add_arguments', 'load_encoder', 'run']
