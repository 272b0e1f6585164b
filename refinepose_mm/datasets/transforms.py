"""Pipeline transforms that MMPose lacks."""

from __future__ import annotations

import functools

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS

from .images import read_image


def keep_annotated_shapes() -> None:
    """Have MMPose's COCO-style data sets pass on the size of each image in the annotation file.

    They read it and drop it, unless there is a ``bbox_file``: then it travels as ``img_shape``
    (H, W) until the image is loaded. After this call it always does. Data sets that read their
    annotations themselves, such as MPII, have no sizes and stay as they are.
    """
    load = BaseCocoStyleDataset._load_annotations
    if hasattr(load, '__wrapped__'):
        return

    @functools.wraps(load)
    def load_with_shapes(self):
        instances, images = load(self)
        shapes = {image['img_id']: (image['height'], image['width']) for image in images
                  if image.get('height') and image.get('width')}
        for instance in instances:
            if instance['img_id'] in shapes:
                instance['img_shape'] = shapes[instance['img_id']]
        return instances, images

    BaseCocoStyleDataset._load_annotations = load_with_shapes


keep_annotated_shapes()


@TRANSFORMS.register_module()
class LoadCompleteImage(LoadImage):
    """LoadImage that reads photos with :func:`refinepose_mm.datasets.images.read_image`.

    It refuses missing and truncated files and images of another size than the annotated one, and
    says which file it was.

    Args:
        to_float32: Convert the image to float32.
        backend_args: File backend of mmengine, for images that are not on a local disk.

    Raises:
        FileNotFoundError: If the image does not exist.
        OSError: If it cannot be decoded to its end.
        ValueError: If the annotation file states another size: boxes and keypoints would not fit.
    """

    def __init__(self, to_float32: bool = False, backend_args: dict | None = None):
        super().__init__(to_float32=to_float32, backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Add ``img`` (H, W, 3, BGR), ``img_shape`` and ``ori_shape`` to the results."""
        if 'img' in results:
            return super().transform(results)
        path = results['img_path']
        try:
            image = read_image(path, self.backend_args)
        except FileNotFoundError as error:
            raise FileNotFoundError(f'{error}; check the image root and the file names in the '
                                    'annotation file') from None
        _check_shape(path, image.shape[:2], results.get('img_shape'))
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results


def _check_shape(path: str, shape: tuple[int, int], annotated: tuple[int, int] | None) -> None:
    # Bottom-up data sets repeat the shape for each person of an image.
    if annotated is None or tuple(annotated[:2]) == shape:
        return
    turned = tuple(annotated[1::-1]) == shape
    hint = ('the photo is turned by its EXIF orientation, annotate it upright' if turned else
            'take the images that were annotated')
    raise ValueError(f'image file {path} has {shape[1]}x{shape[0]} pixels, the annotation file '
                     f'says {annotated[1]}x{annotated[0]}: boxes and keypoints would not fit; '
                     f'{hint}')


@TRANSFORMS.register_module()
class ZeroBasedJoints(BaseTransform):
    """Move the joints of MPII from 1-based to 0-based pixel coordinates.

    MMPose's MpiiDataset moves the person's centre but not the joints, while MpiiPCKAccuracy adds
    1 to every prediction. Without this transform a model that learns its targets perfectly is
    off by (1, 1) pixels. It belongs into training pipelines only, right after loading: the
    official metric reads its joints from the ``.mat`` file.
    """

    def transform(self, results: dict) -> dict:
        """Subtract 1 from ``keypoints`` (1, K, 2), in pixels."""
        results['keypoints'] = results['keypoints'] - 1
        return results
