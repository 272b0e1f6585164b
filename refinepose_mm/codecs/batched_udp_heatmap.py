"""MMPose's UDP heatmap codec, decoding a whole batch at once on the heatmaps' device."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from mmpose.codecs import UDPHeatmap
from mmpose.registry import KEYPOINT_CODECS
from torch import Tensor

# MMPose clips blurred heatmaps to this range before it takes their logarithm
LOWEST, HIGHEST = 1e-3, 50.0


@KEYPOINT_CODECS.register_module()
class BatchedUDPHeatmap(UDPHeatmap):
    """:class:`mmpose.codecs.UDPHeatmap` for Gaussian heatmaps, with batched decoding.

    Encodes and decodes as its parent does, except that a heatmap without a finite positive
    maximum gives finite keypoints (see :func:`decode_udp`), while the parent's may be NaN.

    ``pixels_per_step``, as (x, y), leads from heatmap pixels to pixels of the input image.

    Args:
        input_size: Image size (w, h) in pixels.
        heatmap_size: Heatmap size (W, H) in pixels.
        sigma: Standard deviation of the encoded Gaussian in heatmap pixels.
        blur_kernel_size: Size of the blur before decoding in heatmap pixels, odd; 11 fits
            sigma 2 and 17 fits sigma 3.
    """

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float = 2.0,
        blur_kernel_size: int = 11,
    ):
        super().__init__(input_size, heatmap_size, sigma=sigma, blur_kernel_size=blur_kernel_size)
        self.blur_kernel = gaussian_kernel(blur_kernel_size)
        # UDP measures unit lengths: W heatmap pixels span W - 1 of them, and the whole image.
        self.pixels_per_step = np.divide(self.input_size, np.subtract(self.heatmap_size, 1))

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode the heatmaps (K, H, W) of one person: :meth:`batch_decode` with a batch of one.

        Returns:
            Keypoints (1, K, 2) as (x, y) in input-image pixels, and scores (1, K).
        """
        keypoints, scores = self.batch_decode(torch.from_numpy(encoded)[None])
        return keypoints[0], scores[0]

    @torch.no_grad()
    def batch_decode(self, batch_encoded: Tensor) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Decode the heatmaps (B, K, H, W) of a batch, one person per sample.

        Returns:
            Per sample, keypoints (1, K, 2) as (x, y) in input-image pixels, and scores (1, K).
        """
        device = batch_encoded.device
        with torch.autocast(device.type, enabled=False):  # logarithms need single precision
            # To choose maps by their values, the CPU would have to wait for a GPU.
            keypoints, scores = decode_udp(
                batch_encoded, self.blur_kernel.to(device), blur_all=device.type != 'cpu')
        keypoints = keypoints.cpu().numpy() * self.pixels_per_step
        return list(keypoints[:, None]), list(scores.cpu().numpy()[:, None])


def gaussian_kernel(size: int) -> Tensor:
    """Weights (size,) of OpenCV's Gaussian blur with a kernel of this odd size."""
    if size < 1 or size % 2 == 0:
        raise ValueError(f'blur_kernel_size must be odd and positive, got {size}')
    return torch.from_numpy(cv2.getGaussianKernel(size, sigma=0)).flatten().float()


def decode_udp(
    heatmaps: Tensor, blur_kernel: Tensor, *, blur_all: bool = True
) -> tuple[Tensor, Tensor]:
    """Find the maximum of each heatmap and refine it by DARK's Taylor step in UDP's form.

    The step leads to the maximum of the quadratic through the logarithm of the blurred heatmap
    around its maximum (Zhang et al., CVPR 2020; Huang et al., CVPR 2020). Equal to
    :meth:`mmpose.codecs.UDPHeatmap.decode` before its change to input-image pixels. The step is as
    long as MMPose's, too, where noise beats the keypoint: it can end far outside of the map.

    Args:
        heatmaps: (B, K, H, W), any floating type; computed in float32.
        blur_kernel: Weights of the separable blur, from :func:`gaussian_kernel`.
        blur_all: False skips blurring whole those maps whose result does not depend on it. This
            is much quicker, but work that depends on values cannot be traced or exported.

    Returns:
        Coordinates (B, K, 2) as (x, y) in heatmap pixels, and scores (B, K): the maxima. A map
        whose maximum is not positive has coordinates (-1, -1), as in MMPose. A non-finite maximum
        also gives (-1, -1), with score 0.
    """
    heatmaps = heatmaps.float().contiguous()
    height, width = heatmaps.shape[2:]
    peak, index = _first_maximum(heatmaps.flatten(2))
    x, y = index % width, index // width

    # All that the step needs of the blurred map is a patch of 3x3 around the maximum. Beyond the
    # border it repeats the border.
    blur_x, blur_y = _blur_matrix(width, blur_kernel), _blur_matrix(height, blur_kernel)
    around = torch.arange(-1, 2, device=heatmaps.device)
    columns = blur_x[(x[..., None] + around).clamp(0, width - 1)]
    rows = blur_y[(y[..., None] + around).clamp(0, height - 1)]
    patch = rows @ heatmaps @ columns.transpose(-1, -2)

    # MMPose scales a blurred map to its former maximum. A scale, at least 1 as blurring lowers
    # maxima, cancels in the derivatives of the logarithm, unless it decides what is clipped.
    if blur_all:
        blurred_peak = (blur_y @ heatmaps @ blur_x).amax((2, 3))
    else:
        blurred_peak = peak.clone()
        clipped = (peak > 0) & ((patch.amin((2, 3)) < LOWEST) | (peak > HIGHEST))
        blurred_peak[clipped] = (blur_y @ heatmaps[clipped] @ blur_x).amax((1, 2))
    patch = patch * (peak / blurred_peak)[..., None, None]
    step = _newton_step(patch.clamp(LOWEST, HIGHEST).log())

    coordinates = torch.stack([x, y], -1) + _finite_or_zero(step)
    found = (peak > 0) & (peak < math.inf)
    return torch.where(found[..., None], coordinates, -1.0), _finite_or_zero(peak)


def _finite_or_zero(values: Tensor) -> Tensor:
    return values.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def _first_maximum(values: Tensor) -> tuple[Tensor, Tensor]:
    """Maxima of values (B, K, L) and the first index of each (B, K); NaN counts as the greatest.

    The same as ``values.max(-1)``, but twice as quick on a CPU, where torch vectorises a maximum
    without index only: look for the piece with the maximum first, then within that piece.
    """
    pieces = values.unflatten(-1, (math.gcd(values.shape[-1], 32), -1))
    peak, piece = pieces.amax(-1).max(-1)
    length = pieces.shape[-1]
    winner = pieces.gather(-2, piece[..., None, None].expand(-1, -1, -1, length))
    return peak, piece * length + winner.squeeze(-2).argmax(-1)


def _blur_matrix(size: int, kernel: Tensor) -> Tensor:
    """Blur with zero padding as a symmetric matrix (size, size)."""
    pixel = torch.arange(size, device=kernel.device)
    tap = pixel - pixel[:, None] + kernel.shape[0] // 2
    inside = (tap >= 0) & (tap < kernel.shape[0])
    return torch.where(inside, kernel[tap.clamp(0, kernel.shape[0] - 1)], 0.0)


def _newton_step(patch: Tensor) -> Tensor:
    """Step (..., 2) as (x, y) from the centre of patches (..., 3, 3) to their extremum.

    The mixed derivative and the small number on the Hessian's diagonal are MMPose's.
    """
    (up_left, up, _), (left, centre, right), (_, down, down_right) = (
        row.unbind(-1) for row in patch.unbind(-2))
    dx, dy = (right - left) / 2, (down - up) / 2
    epsilon = torch.finfo(torch.float32).eps
    dxx = right - 2 * centre + left + epsilon
    dyy = down - 2 * centre + up + epsilon
    dxy = (up_left + down_right - left - right - up - down + 2 * centre) / 2
    determinant = dxx * dyy - dxy * dxy
    return torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1) / determinant[..., None]
