import warnings

import cv2
import numpy as np
import pytest
import torch
from mmpose.codecs import UDPHeatmap
from mmpose.registry import KEYPOINT_CODECS, MODELS

from refinepose_mm.codecs import BatchedUDPHeatmap, decode_udp, gaussian_kernel

SIZES = dict(input_size=(192, 256), heatmap_size=(48, 64))
OTHER_SIZES = [
    SIZES,
    dict(input_size=(288, 384), heatmap_size=(72, 96), sigma=3., blur_kernel_size=17),
    dict(input_size=(68, 100), heatmap_size=(17, 25), sigma=1., blur_kernel_size=7),
    dict(input_size=(36, 28), heatmap_size=(9, 7)),  # smaller than the blur
]


def encoded_people(config, people=4, joints=17, margin=0.01):
    """Heatmaps of random keypoints, some just outside of the image."""
    codec = UDPHeatmap(**config)
    random = np.random.default_rng(0)
    keypoints = random.uniform(-margin, 1 + margin, (people, 1, joints, 2))
    return np.stack([codec.encode(k)['heatmaps'] for k in keypoints * config['input_size']])


def noisy_people(peak, noise, smoothness, people=4):
    """Like a network's heatmaps: peaks of many heights over noise of either sign.

    The noise is smooth, as a network's is: where white noise beats the keypoint, the step may
    be hundreds of pixels long, and rounding decides about its length.
    """
    heatmaps = encoded_people(SIZES, people)
    random = np.random.default_rng(1)
    background = random.standard_normal(heatmaps.shape)
    for heatmap in background.reshape(-1, 64, 48):
        cv2.GaussianBlur(heatmap, (0, 0), smoothness, dst=heatmap)
    background *= noise / background.std()
    heights = peak * 10 ** random.uniform(-1, 0, (people, 17, 1, 1))
    return (heatmaps * heights + background).astype(np.float32)


def decode_one_by_one(codec, heatmaps):
    keypoints, scores = zip(*(codec.decode(person) for person in heatmaps))
    return np.stack(keypoints), np.stack(scores)


def decode_at_once(codec, heatmaps):
    keypoints, scores = codec.batch_decode(torch.from_numpy(heatmaps))
    return np.stack(keypoints), np.stack(scores)


@pytest.mark.parametrize('config', OTHER_SIZES)
def test_decodes_encoded_keypoints_as_mmpose_does(config):
    heatmaps = encoded_people(config)
    expected, expected_scores = decode_one_by_one(UDPHeatmap(**config), heatmaps)
    keypoints, scores = decode_at_once(BatchedUDPHeatmap(**config), heatmaps)
    assert keypoints.shape == (4, 1, 17, 2) and scores.shape == (4, 1, 17)
    np.testing.assert_allclose(keypoints, expected, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(scores, expected_scores)


@pytest.mark.parametrize('smoothness', [1, 2, 4])
@pytest.mark.parametrize('peak, noise', [
    (1, .002), (1, .03),
    (.05, .002), (.01, .002),  # clipped from below: the scale of the blurred map matters
    (200, 2),  # clipped from above
])
def test_decodes_noisy_heatmaps_as_mmpose_does(peak, noise, smoothness):
    heatmaps = noisy_people(peak, noise, smoothness)
    expected, expected_scores = decode_one_by_one(UDPHeatmap(**SIZES), heatmaps)
    keypoints, scores = decode_at_once(BatchedUDPHeatmap(**SIZES), heatmaps)
    np.testing.assert_allclose(keypoints, expected, rtol=0, atol=1e-2)
    np.testing.assert_array_equal(scores, expected_scores)


def test_ties_take_the_first_maximum_as_in_mmpose():
    heatmaps = np.zeros((1, 3, 64, 48), np.float32)
    heatmaps[0, 0, [10, 50], [40, 5]] = 1  # two peaks
    heatmaps[0, 1, 20:29, 30:39] = 1  # a plateau
    heatmaps[0, 2] = 1
    expected, _ = decode_one_by_one(UDPHeatmap(**SIZES), heatmaps)
    keypoints, _ = decode_at_once(BatchedUDPHeatmap(**SIZES), heatmaps)
    np.testing.assert_allclose(keypoints, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize('value, score', [
    (0., 0.), (-2., -2.), (np.nan, 0.), (np.inf, 0.), (-np.inf, 0.),
])
@pytest.mark.parametrize('pixels', [(slice(None), slice(None)), (5, 7)])
def test_map_without_a_finite_positive_maximum_has_no_keypoint(value, score, pixels):
    heatmaps = np.full((1, 2, 64, 48), np.fmin(value, 0), np.float32)
    heatmaps[0, 0][pixels] = value
    heatmaps[0, 1, 20, 10] = 1  # a neighbour that must not suffer
    nowhere = np.array([-1, -1]) / [47, 63] * SIZES['input_size']
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        keypoints, scores = decode_at_once(BatchedUDPHeatmap(**SIZES), heatmaps)
    np.testing.assert_allclose(keypoints[0, 0, 0], nowhere, rtol=1e-6)
    np.testing.assert_array_equal(scores, [[[score, 1]]])
    assert np.isfinite(keypoints).all()


def test_refinement_steps_that_are_not_finite_are_dropped():
    heatmaps = np.zeros((1, 1, 64, 48), np.float32)
    heatmaps[0, 0, 20, 10] = 1e-45  # blurring makes it 0, and scaling NaN
    keypoints, _ = decode_at_once(BatchedUDPHeatmap(**SIZES), heatmaps)
    np.testing.assert_allclose(keypoints[0, 0, 0] / SIZES['input_size'] * [47, 63], [10, 20])


def test_one_person_is_decoded_as_in_a_batch():
    heatmaps = noisy_people(.05, .002, 2)
    codec = BatchedUDPHeatmap(**SIZES)
    kept = heatmaps.copy()
    keypoints, scores = decode_one_by_one(codec, heatmaps)
    expected, expected_scores = decode_at_once(codec, heatmaps)
    np.testing.assert_allclose(keypoints, expected, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(scores, expected_scores)
    np.testing.assert_array_equal(heatmaps, kept)  # decoding must not write into its input


def test_half_precision_heatmaps_are_decoded_in_single_precision():
    heatmaps = torch.from_numpy(noisy_people(1, .002, 2)).bfloat16()
    codec = BatchedUDPHeatmap(**SIZES)
    with torch.autocast('cpu', torch.bfloat16):
        keypoints, scores = codec.batch_decode(heatmaps)
    expected, expected_scores = codec.batch_decode(heatmaps.float())
    np.testing.assert_array_equal(keypoints, expected)
    np.testing.assert_array_equal(scores, expected_scores)
    assert scores[0].dtype == np.float32


def test_memory_format_does_not_matter():
    heatmaps = torch.from_numpy(noisy_people(1, .002, 2))
    codec = BatchedUDPHeatmap(**SIZES)
    keypoints, _ = codec.batch_decode(heatmaps.to(memory_format=torch.channels_last))
    expected, _ = codec.batch_decode(heatmaps)
    np.testing.assert_array_equal(keypoints, expected)


@pytest.mark.parametrize('peak, noise', [(1, .002), (.01, .002), (200, 2)])
def test_blurring_the_patch_equals_blurring_the_map(peak, noise):
    heatmaps = torch.from_numpy(noisy_people(peak, noise, 2))
    kernel = gaussian_kernel(11)
    coordinates, scores = decode_udp(heatmaps, kernel, blur_all=False)
    expected, expected_scores = decode_udp(heatmaps, kernel)
    torch.testing.assert_close(coordinates, expected, rtol=0, atol=1e-4)
    assert torch.equal(scores, expected_scores)


def test_head_decodes_batches_with_it():
    torch.manual_seed(0)
    head = dict(type='HeatmapHead', in_channels=8, out_channels=17, deconv_out_channels=None)
    ours = MODELS.build(dict(head, decoder=dict(type='BatchedUDPHeatmap', **SIZES)))
    theirs = MODELS.build(dict(head, decoder=dict(type='UDPHeatmap', **SIZES)))
    torch.nn.init.uniform_(theirs.final_layer.weight)
    assert ours.decoder.support_batch_decoding
    people = encoded_people(SIZES, joints=8)
    heatmaps = theirs((torch.from_numpy(people), ))  # needs a gradient, as outside of inference
    with torch.no_grad():
        expected = theirs.decode(heatmaps)
    for prediction, reference in zip(ours.decode(heatmaps), expected):
        assert prediction.keypoints.shape == (1, 17, 2)
        np.testing.assert_allclose(prediction.keypoints, reference.keypoints, rtol=0, atol=1e-2)
        np.testing.assert_array_equal(prediction.keypoint_scores, reference.keypoint_scores)


def test_encodes_as_mmpose_does():
    codec = KEYPOINT_CODECS.build(dict(type='BatchedUDPHeatmap', sigma=3, **SIZES))
    keypoints = np.random.default_rng(0).uniform(-20, 270, (1, 17, 2))
    visible = np.ones((1, 17), np.float32)
    visible[0, 3] = 0
    expected = UDPHeatmap(sigma=3, **SIZES).encode(keypoints, visible)
    encoded = codec.encode(keypoints, visible)
    assert encoded.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(encoded[name], value)


@pytest.mark.parametrize('size', [0, 10])
def test_kernel_size_must_be_odd(size):
    with pytest.raises(ValueError, match=f'must be odd and positive, got {size}'):
        BatchedUDPHeatmap(**SIZES, blur_kernel_size=size)


class Decoder(torch.nn.Module):
    """What a deployment exports behind the network."""

    def __init__(self):
        super().__init__()
        self.register_buffer('kernel', gaussian_kernel(11))

    def forward(self, heatmaps):
        return decode_udp(heatmaps, self.kernel)


def test_torch_export_with_dynamic_batch():
    batch = torch.export.Dim('batch', min=1)
    exported = torch.export.export(
        Decoder(), (torch.from_numpy(noisy_people(1, .002, 2)), ), dynamic_shapes=({0: batch}, ))
    heatmaps = torch.from_numpy(noisy_people(.05, .002, 2, people=3))
    for result, expected in zip(exported.module()(heatmaps), Decoder()(heatmaps)):
        assert torch.equal(result, expected)


@pytest.mark.parametrize('dynamo', [False, True])
def test_onnx_export_with_dynamic_batch(tmp_path, dynamo):
    pytest.importorskip('onnx', reason='needs onnx')
    onnxruntime = pytest.importorskip('onnxruntime', reason='needs onnxruntime')
    if dynamo:
        pytest.importorskip('onnxscript', reason='needs onnxscript')
        dynamic = dict(dynamic_shapes=(({0: torch.export.Dim('batch')}), ))
    else:
        dynamic = dict(dynamic_axes={'heatmaps': {0: 'batch'}})
    path = str(tmp_path / 'decoder.onnx')
    torch.onnx.export(
        Decoder().eval(), (torch.from_numpy(noisy_people(1, .002, 2)), ), path, dynamo=dynamo,
        input_names=['heatmaps'], output_names=['coordinates', 'scores'], **dynamic)
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    heatmaps = noisy_people(.05, .002, 2, people=3)
    heatmaps[0, 0] = 0
    coordinates, scores = session.run(None, {'heatmaps': heatmaps})
    expected, expected_scores = Decoder()(torch.from_numpy(heatmaps))
    np.testing.assert_allclose(coordinates, expected, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(scores, expected_scores)
