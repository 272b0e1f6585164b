"""The reader of photos against OpenCV's, and what it refuses."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from refinepose_mm.datasets.images import MAX_PIXELS_VARIABLE, EncodedImage, read_image

RNG = np.random.default_rng(0)
COLOUR = cv2.GaussianBlur(RNG.integers(0, 256, (48, 50, 3), np.uint8), (0, 0), 3)
GREY = COLOUR[..., 0].copy()
DEEP = RNG.integers(0, 65536, (48, 50, 4), np.uint16)


def pillow(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def opencv(image, ending):
    return cv2.imencode(ending, image)[1].tobytes()


def oriented(value):
    exif = Image.Exif()
    exif[274] = value
    return exif


RGB, L = Image.fromarray(COLOUR), Image.fromarray(GREY)
PHOTOS = {
    'jpeg': pillow(RGB, 'JPEG'), 'grey.jpeg': pillow(L, 'JPEG'), 'png': pillow(RGB, 'PNG'),
    'webp': pillow(RGB, 'WEBP'), 'bmp': pillow(RGB, 'BMP'), 'tiff': pillow(RGB, 'TIFF'),
    'cmyk.jpeg': pillow(RGB.convert('CMYK'), 'JPEG'),
    'palette.png': pillow(RGB.quantize(64), 'PNG', transparency=3),
    'two_colours.png': pillow(L.convert('1'), 'PNG'),
    'grey_alpha.png': pillow(Image.merge('LA', (L, L)), 'PNG'),
    'alpha.png': pillow(Image.merge('RGBA', (*RGB.split(), L)), 'PNG'),
    'white_is_zero.tiff': pillow(L, 'TIFF', tiffinfo={262: 0}),
    'deep_white_is_zero.tiff': pillow(Image.fromarray(DEEP[..., 0]), 'TIFF', tiffinfo={262: 0}),
    'deep_big_endian.tiff': pillow(Image.fromarray(DEEP[..., 0].astype('>u2')), 'TIFF'),
    'deep_turned.png': pillow(Image.fromarray(DEEP[..., 0]), 'PNG', exif=oriented(6)),
    'deep.ppm': pillow(Image.fromarray(DEEP[..., 0]), 'PPM'),
    **{f'deep_{channels}{ending}': opencv(DEEP[..., :channels].squeeze(), ending)
       for channels in (1, 3, 4) for ending in ('.png', '.tiff')},
    **{f'turned_{value}.{kind}': pillow(RGB.crop((0, 0, 41, 48)), kind, exif=oriented(value))
       for value in range(1, 9) for kind in ('JPEG', 'PNG', 'TIFF')},
}


@pytest.mark.parametrize('name', PHOTOS)
def test_pixels_are_those_of_opencv(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(PHOTOS[name])
    image = read_image(path)
    expected = cv2.imdecode(np.frombuffer(PHOTOS[name], np.uint8), cv2.IMREAD_COLOR)
    assert image.dtype == np.uint8 and image.shape == expected.shape
    # Decoders of JPEG may differ by some levels, and so may conversions of CMYK.
    tolerance = 4 if 'jpeg' in name.lower() else 0
    assert np.abs(image.astype(int) - expected).max() <= tolerance
    assert image.std() > 5  # neither white nor black


@pytest.mark.parametrize('reduction', [2, 4, 8])
@pytest.mark.parametrize('name', ['jpeg', 'grey.jpeg', 'cmyk.jpeg', 'png', 'deep_3.png',
                                  *(f'turned_{value}.JPEG' for value in range(1, 9))])
def test_a_reduced_photo_has_the_means_of_its_pixels(name, reduction, tmp_path):
    path = tmp_path / name
    path.write_bytes(PHOTOS[name])
    photo = EncodedImage(path)
    whole, reduced = photo.decode().astype(float), photo.decode(reduction)
    assert photo.shape == whole.shape[:2] and reduced.dtype == np.uint8
    height, width = (size // reduction for size in photo.shape)
    assert reduced.shape == (*(-(-size // reduction) for size in photo.shape), 3)
    blocks = whole[:height * reduction, :width * reduction].reshape(
        height, reduction, width, reduction, 3)
    assert np.abs(blocks.mean((1, 3)) - reduced[:height, :width]).max() < 6  # decoders round


def test_webp_is_turned_too(tmp_path):
    """OpenCV does not, but a photo must not lie on its side because of its format."""
    path = tmp_path / 'turned.webp'
    path.write_bytes(pillow(RGB, 'WEBP', lossless=True, exif=oriented(6)))
    np.testing.assert_array_equal(read_image(path), np.rot90(COLOUR, -1)[..., ::-1])


@pytest.mark.parametrize('name', ['jpeg', 'png', 'webp', 'bmp', 'tiff', 'cmyk.jpeg', 'deep_1.png',
                                  'deep_1.tiff', 'deep_3.png', 'turned_6.JPEG',
                                  'deep_big_endian.tiff'])
@pytest.mark.parametrize('part', [0, .5, .98])
def test_truncated_photos_are_refused_by_name(name, part, tmp_path):
    path = tmp_path / name
    path.write_bytes(PHOTOS[name][:int(part * len(PHOTOS[name]))])
    with pytest.raises(OSError, match=f'image file .*{name} cannot be decoded: .+') as caught:
        read_image(path)
    assert '\n' not in str(caught.value) and '0x' not in str(caught.value)
    if part == 0:
        assert 'the file is empty' in str(caught.value)


@pytest.mark.parametrize('dtype', [np.float32, np.int32])
def test_pixels_without_a_range_are_refused(dtype, tmp_path):
    path = tmp_path / 'map.tiff'
    path.write_bytes(pillow(Image.fromarray(GREY.astype(dtype)), 'TIFF'))
    with pytest.raises(OSError, match='map.tiff cannot .*float or 32-bit.*of no stated range'):
        read_image(path)


def test_other_files_are_refused_by_name(tmp_path):
    path = tmp_path / 'notes.jpg'
    path.write_text('not an image')
    with pytest.raises(OSError, match='notes.jpg cannot be decoded: its format is unknown'):
        read_image(path)
    with pytest.raises(OSError, match='cannot be decoded: .*directory'):
        read_image(tmp_path)
    with pytest.raises(FileNotFoundError, match='none.jpg does not exist'):
        read_image(tmp_path / 'none.jpg')


def test_more_pixels_than_pillow_allows_load(tmp_path, monkeypatch):
    path = tmp_path / 'large.png'
    path.write_bytes(PHOTOS['png'])
    # Pillow refuses twice its limit: 48 x 50 pixels stand in for 13500 x 13500.
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 48 * 50 // 2 - 1)
    np.testing.assert_array_equal(read_image(path), COLOUR[..., ::-1])
    assert Image.MAX_IMAGE_PIXELS == 48 * 50 // 2 - 1


def test_limit_of_pixels_is_named_and_can_be_set(tmp_path, monkeypatch):
    path = tmp_path / 'large.png'
    path.write_bytes(PHOTOS['png'])
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, '2400')
    assert read_image(path).shape == (48, 50, 3)
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, '2399')
    with pytest.raises(OSError, match='50x48 pixels, more than 2399; set REFINEPOSE_MAX_PIXELS'):
        read_image(path)
    for wrong in ('many', '0', '-1'):
        monkeypatch.setenv(MAX_PIXELS_VARIABLE, wrong)
        with pytest.raises(ValueError, match=f'positive integer, got {wrong!r}'):
            read_image(path)
