"""Pipeline transforms that MMPose lacks."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.datasets.transforms import LoadImage, TopdownAffine
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

from .images import REDUCTIONS, EncodedImage

FLIP_CODES = dict(horizontal=1, vertical=0, diagonal=-1)  # RandomFlip's names, OpenCV's numbers


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
        image = _open(results, self.backend_args).decode()
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        return results


@TRANSFORMS.register_module()
class OpenImage(BaseTransform):
    """LoadCompleteImage for :class:`DecodeCrop`, which decodes when the crop is known.

    Between the two, only transforms of boxes and keypoints and RandomFlip have their place; what
    changes pixels comes after DecodeCrop.

    Args:
        backend_args: File backend of mmengine, for images that are not on a local disk.

    Raises:
        FileNotFoundError: If the image does not exist.
        OSError: If it cannot be read.
        ValueError: If the annotation file states another size: boxes and keypoints would not fit.
    """

    def __init__(self, backend_args: dict | None = None):
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Add ``img_file``, ``img_shape``, ``ori_shape``, and an empty list as ``img``."""
        results['img_file'] = _open(results, self.backend_args)
        results['img'] = []  # RandomFlip takes a list of images
        return results


@TRANSFORMS.register_module()
class DecodeCrop(TopdownAffine):
    """TopdownAffine that decodes what :class:`OpenImage` opened only as finely as it crops.

    A crop that makes the photo at least 2, 4 or 8 times smaller takes it at 1/2, 1/4 or 1/8 of
    its size. JPEG's decoder does so in a third to a half of the time, and it averages pixels
    where TopdownAffine picks some of them, which is ours, not the paper's. Finer crops are
    TopdownAffine's to the bit, and so are keypoints in all of them.

    Args:
        input_size: Input width and height in pixels.
        use_udp: Crop as in UDP (Huang et al. 2020).

    Raises:
        OSError: If the image cannot be decoded to its end.
    """

    def __init__(self, input_size: tuple[int, int], use_udp: bool = False):
        super().__init__(input_size=input_size, use_udp=use_udp)

    def transform(self, results: dict) -> dict:
        """Replace ``img_file`` by ``img``, the crop; else as TopdownAffine."""
        image_file = results.pop('img_file')
        results = super().transform(results)
        center, scale = results['input_center'], results['input_scale']
        shrinks = min(np.divide(scale, self.input_size))
        reduction = max(factor for factor in REDUCTIONS if factor <= max(shrinks, 1))
        image = image_file.decode(reduction)
        height, width = results['img_shape']
        # Pixel j of the reduced photo is the mean of pixels r * j to r * j + r - 1.
        x = y = (reduction - 1) / 2
        if results.get('flip'):
            direction = results['flip_direction']
            image = cv2.flip(image, FLIP_CODES[direction])
            # The last pixels are means of what lies beyond the border, too.
            x -= reduction * image.shape[1] - width if direction != 'vertical' else 0
            y -= reduction * image.shape[0] - height if direction != 'horizontal' else 0
        rotation = results['bbox_rotation'][0] if 'bbox_rotation' in results else 0.
        warp_matrix = get_udp_warp_matrix if self.use_udp else get_warp_matrix
        to_photo = np.array([[reduction, 0, x], [0, reduction, y], [0, 0, 1]])
        matrix = warp_matrix(center, scale, rotation, output_size=self.input_size) @ to_photo
        results['img'] = cv2.warpAffine(image, matrix, self.input_size, flags=cv2.INTER_LINEAR)
        return results


def _open(results: dict, backend_args: dict | None) -> EncodedImage:
    """Open the photo of a sample and add ``img_shape`` and ``ori_shape``."""
    path = results['img_path']
    try:
        image = EncodedImage(path, backend_args)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{error}; check the image root and the file names in the '
                                'annotation file') from None
    _check_shape(path, image.shape, results.get('img_shape'))
    results['img_shape'] = results['ori_shape'] = image.shape
    return image


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
