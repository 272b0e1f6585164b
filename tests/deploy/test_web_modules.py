"""The page's crop and decoding, in JavaScript, give what OpenCV and our codec give in Python."""

import json
import shutil
import subprocess

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.registry import KEYPOINT_CODECS

from refinepose_mm.codecs import gaussian_kernel
from refinepose_mm.datasets.toy_people import draw_scene
from refinepose_mm.deploy.web.page import STATIC

READ = '''
import { readFileSync, writeFileSync } from 'node:fs';
const given = JSON.parse(readFileSync('given.json'));
const values = new Float32Array(Uint8Array.from(readFileSync('values.bin')).buffer);
const done = (result) => {
  writeFileSync('result.bin', new Uint8Array(Float32Array.from(result).buffer));
};
'''


@pytest.fixture
def javascript(tmp_path):
    """Runs a script beside the page's modules: values and json in, float32 out."""
    node = shutil.which('node')
    if node is None:
        pytest.skip('no Node.js here')
    for path in STATIC.glob('*.js'):
        shutil.copy(path, tmp_path)
    (tmp_path / 'package.json').write_text('{"type": "module"}')

    def run(script, values, **given):
        (tmp_path / 'values.bin').write_bytes(values.tobytes())
        (tmp_path / 'given.json').write_text(json.dumps(given))
        (tmp_path / 'script.js').write_text(READ + script)
        done = subprocess.run([node, 'script.js'], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return np.fromfile(tmp_path / 'result.bin', np.float32)

    return run


@pytest.mark.parametrize('udp', [True, False])
@pytest.mark.parametrize('box', [[0, 0, 320, 240], [40.5, 30, 200, 230.25], [-60, 100, 350, 150]])
def test_crops_are_those_of_the_pipeline(javascript, udp, box):
    image, _ = draw_scene(np.random.default_rng(0), 1)
    height, width = image.shape[:2]
    crop = Compose([dict(type='GetBBoxCenterScale', padding=1.25),
                    dict(type='TopdownAffine', input_size=(96, 128), use_udp=udp)])
    expected = crop(dict(img=image, bbox=np.array([box], np.float32), bbox_score=np.ones(1)))
    pixels = np.dstack([image[..., ::-1], np.full((height, width), 255)]).astype(np.float32)
    found = javascript(
        '''
        import { cropTo, regionOf } from './crop.js';
        const { about, box, width, height } = given;
        const crop = new Float32Array(3 * 96 * 128);
        cropTo(crop, { data: values, width, height }, 1, regionOf(box, about), about);
        done(crop);
        ''', pixels, box=box, width=width, height=height,
        about=dict(input=dict(size=[96, 128]), crop=dict(padding=1.25, udp=udp)))
    crops = found.reshape(3, 128, 96).transpose(1, 2, 0)
    difference = np.abs(crops - expected['img'])
    # MMPose's matrix is in single precision: a place on the edge between two steps of 1/32 pixel
    # may fall to either side. Other rounding would change 6 in 1,000 values.
    assert difference.max() <= 8 and (difference > 0).mean() < 3e-3


def test_a_shrunk_photo_gives_nearly_the_same_crop(javascript):
    """Photos beyond 16 megapixels are shrunk; the crop must not move by that."""
    ramp = np.broadcast_to(np.arange(64, dtype=np.float32)[None, :, None], (64, 64, 4))
    half = (ramp[::2, ::2] + ramp[1::2, 1::2]) / 2
    crops = [javascript(
        '''
        import { cropTo, regionOf } from './crop.js';
        const { about, shrunk } = given;
        const crop = new Float32Array(3 * 16 * 16);
        const size = 64 * shrunk;
        cropTo(crop, { data: values, width: size, height: size }, shrunk,
          regionOf([20, 20, 44, 44], about), about);
        done(crop);
        ''', np.ascontiguousarray(pixels), shrunk=shrunk,
        about=dict(input=dict(size=[16, 16]), crop=dict(padding=1.25, udp=True)))
        for pixels, shrunk in ((ramp, 1), (half, .5))]
    np.testing.assert_allclose(*crops, atol=.6)  # both are rounded


def bumps(rng, count, width, height):
    """Heatmaps like a network's: hills anywhere, also at borders and beyond, with noise."""
    x, y = np.arange(width), np.arange(height)[:, None]
    places = rng.uniform(-1, [width, height], (count, 2))
    heights = rng.uniform(.05, 1, count)
    maps = [peak * np.exp(-((x - column)**2 + (y - row)**2) / 4.5)
            for peak, (column, row) in zip(heights, places)]
    return (np.array(maps) + rng.normal(0, .01, (count, height, width))).astype(np.float32)


def test_decoding_is_that_of_the_codec(javascript):
    codec = KEYPOINT_CODECS.build(dict(
        type='BatchedUDPHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=1.5))
    maps = bumps(np.random.default_rng(0), 200, 24, 32)
    maps[0], maps[1], maps[2] = 0, -1, 60 * maps[2]
    maps[3, 4, 5], maps[4, 4, 5] = np.nan, np.inf
    keypoints, scores = codec.decode(maps)
    found = javascript(
        '''
        import { decode } from './decode.js';
        const size = 24 * 32;
        const all = Array.from({ length: values.length / size }, (_, k) => (
          decode(values.subarray(k * size, (k + 1) * size), 24, 32, given.kernel)));
        done(all.flatMap(({ x, y, height }) => [x, y, height]));
        ''', maps, kernel=gaussian_kernel(11).tolist()).reshape(200, 3)
    np.testing.assert_array_equal(found[[0, 1, 3, 4], :2], -1)
    np.testing.assert_array_equal(found[:, 2], scores[0])
    np.testing.assert_allclose(found[:, :2] * codec.pixels_per_step, keypoints[0], atol=.01)


@pytest.mark.parametrize('shift', [True, False])
def test_the_flip_test_is_that_of_mmpose(javascript, shift):
    maps, mirrored = np.random.default_rng(0).random((2, 5, 6, 8), np.float32)
    flipped = flip_heatmaps(torch.from_numpy(mirrored)[None], flip_indices=[0, 2, 1, 4, 3],
                            shift_heatmap=shift)[0].numpy()
    found = javascript(
        '''
        import { averageMirrored } from './decode.js';
        const half = values.length / 2;
        const maps = values.slice(0, half);
        averageMirrored(maps, values.subarray(half), 8, 6, [[1, 2], [3, 4]], given.shift);
        done(maps);
        ''', np.stack([maps, mirrored]), shift=shift)
    np.testing.assert_allclose(found.reshape(maps.shape), (maps + flipped) / 2, atol=1e-7)


def test_mirrored_crops(javascript):
    crop = np.random.default_rng(0).random((3, 4, 6), np.float32)
    found = javascript(
        '''
        import { mirrorTo } from './crop.js';
        const target = new Float32Array(values.length);
        mirrorTo(target, values, 6);
        done(target);
        ''', crop)
    np.testing.assert_array_equal(found.reshape(crop.shape), crop[..., ::-1])


def test_scores_of_a_calibrated_model_are_probabilities(javascript):
    """``calibration`` in the metadata: for each joint knots, linear between them."""
    heights = np.array([.05, .25, .31, 1.7], np.float32)
    tables = dict(heights=[.1, .2, .5, 1.], right=[.1, .3, .8, .95], oks=[.2, .25, .6, .9])
    joints = {name: {**tables, 'right': (np.array(tables['right']) ** power).tolist()}
              for power, name in enumerate('abcd', 1)}
    script = '''
        import { scoresOf, usualThreshold } from './scores.js';
        const { scores, score } = scoresOf([...values], given);
        done([...scores, score, usualThreshold(given)]);
        '''
    names = dict(names=list('abcd'))
    found = javascript(script, heights, keypoints=names, calibration=dict(joints=joints))
    right = [np.interp(height, tables['heights'], joints[name]['right'])
             for height, name in zip(heights, 'abcd')]
    oks = np.interp(heights, tables['heights'], tables['oks']).mean()
    np.testing.assert_allclose(found, [*right, oks, .5], rtol=1e-6)
    raw = javascript(script, heights, keypoints=names)
    np.testing.assert_allclose(raw, [*heights, heights[heights > .2].mean(), .3], rtol=1e-6)
