import json

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmpose.datasets import CocoDataset
from mmpose.datasets.transforms import LoadImage

from refinepose_mm.datasets import LoadCompleteImage, OpenImage, ZeroBasedJoints
from refinepose_mm.datasets.images import EncodedImage


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / 'photo.jpg'
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.GaussianBlur(noise, (0, 0), 3))
    return path


@pytest.fixture
def annotations(photo):
    """A COCO-style json of two persons in the photo; a function that makes it."""
    def write(**size):
        path = photo.with_suffix('.json')
        path.write_text(json.dumps(dict(
            images=[dict(id=7, file_name=photo.name, **size)],
            categories=[dict(id=1, name='person')],
            annotations=[dict(id=number, image_id=7, category_id=1, iscrowd=0,
                              area=800, bbox=[10, 10, 40, 40], num_keypoints=17,
                              keypoints=[20, 20, 2] * 17)
                         for number in (1, 2)])))
        return str(path)
    return write


def test_loads_bgr_as_opencv_does(photo):
    results = LoadCompleteImage()(dict(img_path=str(photo)))
    expected = cv2.imread(str(photo)).astype(int)
    assert results['img_shape'] == results['ori_shape'] == (60, 80)
    assert results['img'].dtype == np.uint8
    # Two JPEG decoders may round differently, but not by more than a few grey levels.
    assert np.abs(results['img'].astype(int) - expected).max() <= 4
    assert LoadCompleteImage(to_float32=True)(dict(img_path=str(photo)))['img'].dtype == np.float32


def test_real_photos_are_what_mmpose_decodes_with_pillow(coco_mini):
    paths = sorted(map(str, coco_mini.rglob('*.jpg')))
    assert len(paths) == 58
    reference = LoadImage(imdecode_backend='pillow')
    for path in paths:
        image = LoadCompleteImage()(dict(img_path=path))['img']
        np.testing.assert_array_equal(image, reference(dict(img_path=path))['img'])


def test_takes_an_array_as_mmpose_does():
    image = np.zeros((4, 5, 3), np.uint8)
    assert LoadCompleteImage()(dict(img=image))['img_shape'] == (4, 5)


def test_missing_image_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.jpg does not exist; check the image root'):
        LoadCompleteImage()(dict(img_path=str(tmp_path / 'nowhere.jpg')))


def test_truncated_image_is_named(photo):
    photo.write_bytes(photo.read_bytes()[:-200])
    with pytest.raises(OSError, match='photo.jpg cannot be decoded: .*truncated'):
        LoadCompleteImage()(dict(img_path=str(photo)))


@pytest.mark.parametrize('data_mode, bbox_file', [
    ('topdown', False), ('topdown', True), ('bottomup', False)])
def test_an_image_of_another_size_than_the_annotated_one_is_refused(
        photo, annotations, data_mode, bbox_file):
    detections = photo.with_name('boxes.json')
    detections.write_text(json.dumps(
        [dict(image_id=7, category_id=1, bbox=[10, 10, 40, 40], score=.9)]))

    def load(**size):
        return CocoDataset(
            annotations(**size), str(detections) if bbox_file else None, data_mode=data_mode,
            data_prefix=dict(img=str(photo.parent)), test_mode=bbox_file,
            pipeline=[LoadCompleteImage()])[0]

    assert load(width=80, height=60)['img_shape'] == (60, 80)
    with pytest.raises(ValueError, match=r'photo.jpg has 80x60 pixels, the annotation file says '
                       '40x30: .*take the images that were annotated'):
        load(width=40, height=30)
    with pytest.raises(ValueError, match='says 60x80: .*turned by its EXIF orientation'):
        load(width=60, height=80)


def test_without_an_annotated_size_nothing_is_compared(photo):
    assert LoadCompleteImage()(dict(img_path=str(photo), img_shape=None))['img_shape'] == (60, 80)


def test_joints_move_by_one_pixel():
    joints = np.array([[[1., 1.], [10.5, 20.]]], dtype=np.float32)
    moved = ZeroBasedJoints()(dict(keypoints=joints))['keypoints']
    assert moved.tolist() == [[[0., 0.], [9.5, 19.]]]
    assert joints[0, 0, 0] == 1  # the data set's own array stays as it was


STEPS = [dict(type='GetBBoxCenterScale'), dict(type='RandomFlip'), dict(type='RandomBBoxTransform')]
CROP = dict(input_size=(24, 32))


def crops(path, box, flip=False, direction='horizontal', udp=True, rotated=True, **crop):
    """The same random crop by LoadCompleteImage and TopdownAffine, and by ours."""
    size = dict(CROP, use_udp=udp, **crop)
    for first, last in (('LoadCompleteImage', 'TopdownAffine'), ('OpenImage', 'DecodeCrop')):
        steps = [dict(type=first), STEPS[0],
                 dict(STEPS[1], prob=float(flip), direction=direction),
                 *([STEPS[2]] if rotated else []), dict(size, type=last)]
        np.random.seed(0)
        with DefaultScope.overwrite_default_scope('mmpose'):
            yield Compose(steps)(dict(
                img_path=str(path), bbox=np.array([box], np.float32), flip_indices=[1, 0],
                keypoints=np.array([[[22., 30.], [41., 28.]]], np.float32),
                keypoints_visible=np.ones((1, 2), np.float32)))


@pytest.mark.parametrize('udp', [True, False])
@pytest.mark.parametrize('direction', [None, 'horizontal', 'vertical', 'diagonal'])
def test_crops_that_do_not_shrink_by_two_are_those_of_mmpose(photo, direction, udp):
    expected, got = crops(photo, [20, 15, 40, 45], bool(direction), direction or 'horizontal', udp)
    assert expected['img'].std() > 5
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(got[key], value, err_msg=key)


@pytest.mark.parametrize('kind', ['jpg', 'png'])
@pytest.mark.parametrize('direction', [None, 'horizontal', 'vertical', 'diagonal'])
@pytest.mark.parametrize('size', [(640, 480), (637, 475)])  # 637: the last pixel of 1/8 is narrower
def test_a_reduced_photo_gives_the_same_crop_where_it_is_smooth(tmp_path, size, direction, kind):
    """A plane of grey shows a shift of 1/50 of a pixel of the crop."""
    path = tmp_path / f'plane.{kind}'
    width, height = size
    x, y = np.meshgrid(np.linspace(0, 120, width), np.linspace(0, 130, height))
    cv2.imwrite(str(path), (x + y).round().astype(np.uint8))
    for box in ([100, 60, 180, 160], [60, 20, 250, 300], [20, 10, 500, 470]):
        expected, got = crops(path, box, bool(direction), direction or 'horizontal')
        inner = cv2.erode(np.uint8(expected['img'].min(-1) > 0), np.ones((5, 5))).astype(bool)
        assert inner.sum() > 100
        difference = got['img'].astype(float) - expected['img']
        assert abs(difference[inner].mean()) < .3 and np.abs(difference[inner]).max() <= 3
        np.testing.assert_array_equal(got['transformed_keypoints'],
                                      expected['transformed_keypoints'])


def test_photos_are_decoded_as_finely_as_the_crop_needs(tmp_path, monkeypatch):
    path = tmp_path / 'photo.jpg'
    cv2.imwrite(str(path), np.zeros((480, 640, 3), np.uint8))
    asked = []
    decode = EncodedImage.decode
    monkeypatch.setattr(EncodedImage, 'decode', lambda self, reduction=1: (
        asked.append(reduction), decode(self, reduction))[1])
    # 1.25 times these heights, over 32 pixels: 0.8, 1.95, 2.03, 7.9, 8.2
    for tall in (20, 50, 52, 202, 210):
        _, _ = crops(path, [0, 0, 9, tall], rotated=False)
    assert asked[1::2] == [1, 1, 2, 4, 8] and set(asked[::2]) == {1}


def test_truncated_and_missing_images_are_named_before_the_crop(photo):
    with pytest.raises(FileNotFoundError, match='none.jpg does not exist; check the image root'):
        OpenImage()(dict(img_path=str(photo.with_name('none.jpg'))))
    with pytest.raises(ValueError, match='photo.jpg has 80x60 pixels, the annotation file says'):
        OpenImage()(dict(img_path=str(photo), img_shape=(30, 40)))
    photo.write_bytes(photo.read_bytes()[:-200])
    with pytest.raises(OSError, match='photo.jpg cannot be decoded: .*truncated'):
        OpenImage()(dict(img_path=str(photo)))
