import cv2
import numpy as np
import pytest

from refinepose_mm.datasets import LoadCompleteImage, ZeroBasedJoints


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / 'photo.jpg'
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.GaussianBlur(noise, (0, 0), 3))
    return path


def test_loads_bgr_as_opencv_does(photo):
    results = LoadCompleteImage()(dict(img_path=str(photo)))
    expected = cv2.imread(str(photo)).astype(int)
    assert results['img_shape'] == (60, 80)
    # Two JPEG decoders may round differently, but not by more than a few grey levels.
    assert np.abs(results['img'].astype(int) - expected).max() <= 4


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


def test_a_file_that_is_no_image_is_named(photo):
    photo.write_bytes(b'not an image')
    with pytest.raises(OSError, match='photo.jpg cannot be decoded: .*cannot identify'):
        LoadCompleteImage()(dict(img_path=str(photo)))


def test_joints_move_by_one_pixel():
    joints = np.array([[[1., 1.], [10.5, 20.]]], dtype=np.float32)
    moved = ZeroBasedJoints()(dict(keypoints=joints))['keypoints']
    assert moved.tolist() == [[[0., 0.], [9.5, 19.]]]
    assert joints[0, 0, 0] == 1  # the data set's own array stays as it was
