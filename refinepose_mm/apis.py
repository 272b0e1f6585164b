"""What people import, in one place.

=========================  ======================================================================
name                       what it does
=========================  ======================================================================
:class:`BatchPredictor`    finds the keypoints of many persons in images or video frames
:class:`Detector`          finds the persons for BatchPredictor, by an exported file or mmdet
:class:`Poses`             of one image: keypoints, names, scores, boxes; to_dict, to_pandas
:class:`Scene`             an image with boxes, for BatchPredictor's stream
:class:`Tracker`           gives persons in the frames of a video identities
:func:`deploy`             makes a faster copy of a trained model, for eager PyTorch
:func:`export`             writes a trained model to an ONNX, OpenVINO or torch.export file
:func:`export_page`        writes one as a page that runs it in the browser
:func:`load_exported`      runs such a file with its own engine
:func:`quantize`           turns an OpenVINO file into 8-bit integers
:func:`load_model`         builds the model of a config with all weights of a checkpoint
:func:`load_encoder`       loads a pretrained ViT encoder of any known format into a backbone
:func:`read_checkpoint`    reads the tensors of a checkpoint, local or by URL, and executes nothing
:func:`refinepose`         is the config of RefinePose, to build or to change
:func:`refinepose_lean`    is the config of RefinePose-lean, which costs what ViTPose does
:func:`vitpose`            is the config of ViTPose, to build or to change
=========================  ======================================================================
"""

from .checkpoints import read_checkpoint
from .deploy.detectors import Detector
from .deploy.export import export, export_page
from .deploy.fold import deploy
from .deploy.formats import load_exported
from .deploy.network import load_model
from .deploy.poses import Poses
from .deploy.predictor import BatchPredictor, Scene
from .deploy.quantize import quantize
from .deploy.tracking import Tracker
from .recipes import refinepose, refinepose_lean, vitpose
from .weights import load_encoder

__all__ = [
    'BatchPredictor', 'Detector', 'Poses', 'Scene', 'Tracker', 'deploy', 'export', 'export_page',
    'load_encoder', 'load_exported', 'load_model', 'quantize', 'read_checkpoint', 'refinepose',
    'refinepose_lean', 'vitpose'
]
