"""Pipeline transforms that MMPose lacks."""

from __future__ import annotations

from mmcv.transforms import BaseTransform
from mmengine.fileio import exists
from mmpose.datasets.transforms import LoadImage
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadCompleteImage(LoadImage):
    """LoadImage that refuses missing and truncated files and says which one it was.

    OpenCV decodes a truncated JPEG without complaint and leaves the rest grey; Pillow, which
    decodes here, reports it.

    Args:
        to_float32: Convert the image to float32.
        backend_args: File backend of mmengine, for images that are not on a local disk.

    Raises:
        FileNotFoundError: If the image does not exist.
        OSError: If it cannot be decoded to its end.
    """

    def __init__(self, to_float32: bool = False, backend_args: dict | None = None):
        super().__init__(
            to_float32=to_float32, imdecode_backend='pillow', backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Add ``img`` (H, W, 3, BGR), ``img_shape`` and ``ori_shape`` to the results."""
        try:
            return super().transform(results)
        except Exception as error:
            path = results.get('img_path')
            if not exists(path, self.backend_args):
                raise FileNotFoundError(
                    f'image file {path} does not exist; check the image root and the file names '
                    'in the annotation file') from None
            # MMPose's LoadImage has wrapped the cause in a message of its own.
            cause = error.__context__ or error
            raise OSError(f'image file {path} cannot be decoded: {cause}') from None


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
