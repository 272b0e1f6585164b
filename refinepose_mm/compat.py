"""Repairs for a stack that upstream no longer repairs.

Each function mends one thing, only where it is broken, silently, and says whether it had to.
Each names the upstream issue that it stands in for: when that one is closed, delete the function.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
import types

import torch
from torch import Tensor

from .pillow import open_photo

OLDEST_TORCH = '2.6'
EXIF_ORIENTATION, SIDEWAYS = 274, (5, 6, 7, 8)
FULL_MMCV = 'build the full one with: pip install --no-build-isolation mmcv==2.1.0'


def repair() -> dict[str, str]:
    """Run every repair; cheap to call again.

    Returns:
        What was repaired, a short name -> one line for people.

    Raises:
        ImportError: If torch is older than what export and MMEngine's checkpoints need.
    """
    if torch.__version__ < OLDEST_TORCH:
        raise ImportError(f'torch {OLDEST_TORCH} or later is needed, got {torch.__version__}')
    repairs = {
        'torchvision': repair_torchvision,
        'mmcv._ext': repair_mmcv_ext,
        'xtcocotools': repair_xtcocotools,
        'checkpoints': repair_checkpoint_loading,
    }
    return {name: line for name, function in repairs.items() if (line := function())}


def repair_torchvision() -> str | None:
    """Let torchvision import without its compiled operators.

    A torchvision that was built for another torch than the installed one has no operators, and
    its import ends in "operator torchvision::nms does not exist". MMPose needs its transforms
    only, so it is enough to declare the operators that the import looks up.
    Stands in for pytorch/vision#8985.
    """
    if importlib.util.find_spec('torchvision') is None:
        return None
    try:
        import torchvision
        usable = torchvision.extension._has_ops()
    except RuntimeError as error:
        if 'torchvision::' not in str(error):
            raise
        for name in [name for name in sys.modules if name.split('.')[0] == 'torchvision']:
            del sys.modules[name]
        _declare_torchvision_operators()
        importlib.import_module('torchvision')
        usable = False
    return None if usable else 'torchvision has no compiled operators; declared the missing ones'


def _declare_torchvision_operators() -> None:
    library = torch.library.Library('torchvision', 'FRAGMENT')
    for name in ('nms', 'qnms'):
        library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    _declare_torchvision_operators.library = library  # a collected library takes its schemas along


def repair_mmcv_ext() -> str | None:
    """Give mmcv-lite an ``mmcv._ext``, so that ``mmpose`` and ``mmdet`` import.

    MMPose imports ``mmcv.ops`` at import, which mmcv-lite cannot serve. The stand-in answers
    every operator with a clear error when it is called, but ``nms``, which detectors need, works.
    Stands in for open-mmlab/mmpose#3250.
    """
    loaded = sys.modules.get('mmcv._ext')
    if loaded is not None:
        return _MissingOperators.SUMMARY if isinstance(loaded, _MissingOperators) else None
    if importlib.util.find_spec('mmcv') is None or importlib.util.find_spec('mmcv._ext'):
        return None
    sys.modules['mmcv._ext'] = _MissingOperators()
    return _MissingOperators.SUMMARY


class _MissingOperators(types.ModuleType):
    """The stand-in for mmcv's compiled operators."""

    SUMMARY = 'mmcv-lite has no compiled operators; NMS runs in their place, others explain'

    def __init__(self):
        super().__init__('mmcv._ext', self.__doc__)
        # With a loader of None, MMEngine's mmcv_full_available() still says that mmcv is lite.
        self.__spec__ = importlib.machinery.ModuleSpec('mmcv._ext', loader=None)
        self.nms = nms

    def __getattr__(self, name: str):
        # Import machinery and pytest probe modules for names like these; they must see none.
        if name.startswith(('__', 'pytest')):
            raise AttributeError(f'module mmcv._ext has no attribute {name!r}')

        def missing(*args, **kwargs):
            raise RuntimeError(
                f"mmcv's operator {name!r} is compiled code, which mmcv-lite does not have; "
                f'{FULL_MMCV}')

        return missing


def repair_xtcocotools() -> str | None:
    """Let pycocotools stand in for an xtcocotools that is missing or built for another numpy.

    The last xtcocotools has wheels for numpy 1 and Python 3.11 at most, and cannot be built for
    Python 3.13. Stands in for jin-s13/xtcocoapi#45.
    """
    loaded = sys.modules.get('xtcocotools')
    if loaded is not None and loaded.__spec__.loader is None:
        return loaded.__doc__
    if importlib.util.find_spec('pycocotools') is None:
        return None
    try:
        importlib.import_module('xtcocotools.mask')  # the compiled part
        return None
    except (ImportError, ValueError) as error:  # ValueError: numpy.dtype size changed
        reason = 'is missing' if error.__class__ is ModuleNotFoundError else 'does not import'
    from pycocotools import mask

    from . import coco

    package = types.ModuleType(
        'xtcocotools', f'xtcocotools {reason}; pycocotools evaluates in its place')
    package.__spec__ = importlib.machinery.ModuleSpec('xtcocotools', loader=None, is_package=True)
    package.__path__ = []
    for name, module in (('coco', coco), ('cocoeval', coco), ('mask', mask)):
        setattr(package, name, module)
        sys.modules[f'xtcocotools.{name}'] = module
    sys.modules['xtcocotools'] = package
    return package.__doc__


class UprightImage:
    """In place of ``PIL.Image`` in MMPose's inference, which opens photos for their size alone."""

    @staticmethod
    def open(path: str) -> types.SimpleNamespace:
        """The size (w, h) of a photo as it is loaded: turned where its EXIF mark says so."""
        with open_photo(path) as image:
            size, mark = image.size, image.getexif().get(EXIF_ORIENTATION, 1)
        return types.SimpleNamespace(size=size[::-1] if mark in SIDEWAYS else size)


def repair_whole_images(inference: types.ModuleType) -> None:
    """Let ``inference_topdown(model, photo, None)`` take its box from the upright photo.

    MMPose reads the size before the EXIF rotation, and the pixels after it; it asks Pillow, which
    refuses more than 179 megapixels. No upstream issue is known to us.

    Args:
        inference: ``mmpose.apis.inference``.
    """
    inference.Image = UprightImage


def nms(bboxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Greedy non-maximum suppression, in the place of mmcv's compiled operator.

    Args:
        bboxes: (N, 4) as x1, y1, x2, y2 in pixels.
        scores: (N, ).
        iou_threshold: Boxes that overlap a better one by more than this are dropped.
        offset: 1 where x2 and y2 are the last pixels inside, 0 where they are the borders.

    Returns:
        Indices of the kept boxes, best first.
    """
    torchvision = sys.modules.get('torchvision')
    if offset == 0 and torchvision is not None and torchvision.extension._has_ops():
        return torchvision.ops.nms(bboxes, scores, iou_threshold)
    order = scores.argsort(descending=True, stable=True)
    boxes = bboxes[order]
    sizes = boxes[:, 2:] - boxes[:, :2] + offset
    areas = sizes.prod(dim=1)
    kept = []
    alive = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    for index in range(len(boxes)):
        if not alive[index]:
            continue
        kept.append(index)
        top_left = torch.maximum(boxes[index, :2], boxes[:, :2])
        bottom_right = torch.minimum(boxes[index, 2:], boxes[:, 2:])
        overlaps = (bottom_right - top_left + offset).clamp(min=0).prod(dim=1)
        alive &= overlaps <= iou_threshold * (areas[index] + areas - overlaps)
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]


def repair_checkpoint_loading() -> str | None:
    """Let torch >= 2.6 read MMEngine's own checkpoints with ``weights_only=True``.

    They hold HistoryBuffers and numpy's numbers, which are read by the checking stand-ins of
    :mod:`refinepose_mm.pickles`; anything else in a pickle stays refused. Our own checkpoints need
    none of this. Stands in for open-mmlab/mmengine#1655.
    """
    if importlib.util.find_spec('mmengine') is None:
        return None
    from .pickles import stand_ins

    torch.serialization.add_safe_globals(stand_ins())
    return "MMEngine's checkpoints hold numpy values; torch.load reads them through checks"
