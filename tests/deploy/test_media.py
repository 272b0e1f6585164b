"""Photos and videos in and out: pixels, times, orientation, damage."""

import resource
import struct
import sys
from fractions import Fraction

import cv2
import numpy as np
import pytest
from mmpose.datasets.datasets import CocoDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from refinepose_mm.deploy.media import Painter, PhotoWriter, open_source
from refinepose_mm.deploy.poses import Poses
from refinepose_mm.deploy.video import Frame, Video, VideoWriter

WIDTH, HEIGHT, COUNT = 160, 120, 40
QUICK = {'libx264': {'preset': 'veryfast'}, 'libvpx': {'deadline': 'realtime', 'cpu-used': '8'}}


@pytest.fixture(scope='module')
def av():
    return pytest.importorskip('av', reason='videos need PyAV')


@pytest.fixture(scope='module')
def images():
    """A red square that moves over blurred noise."""
    noise = np.random.default_rng(0).integers(0, 256, (COUNT, HEIGHT, WIDTH, 3), np.uint8)
    images = [cv2.GaussianBlur(image, (0, 0), 4) for image in noise]
    for number, image in enumerate(images):
        image[40:80, 40 + number:60 + number] = (0, 0, 255)
    return images


@pytest.fixture
def film(av, images, tmp_path):
    """Writes the images as a video, straight by PyAV, and returns its path."""
    def write(name, codec='libx264', rate=25, matrix=None, **options):
        path, rate = tmp_path / name, Fraction(rate)
        with av.open(str(path), 'w', container_options=options) as container:
            stream = container.add_stream(codec, rate=rate, options=QUICK.get(codec, {}))
            stream.width, stream.height, stream.bit_rate = WIDTH, HEIGHT, 4_000_000
            stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
            stream.codec_context.time_base = 1 / rate
            if matrix:
                stream.set_display_matrix(matrix)
            for number, image in enumerate(images):
                frame = av.VideoFrame.from_ndarray(image, format='bgr24')
                frame.pts, frame.time_base = number, 1 / rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path
    return write


def far(image, expected):
    """Mean difference of two images of one size, in grey levels."""
    assert image.shape == expected.shape
    return np.abs(image.astype(int) - expected).mean()


@pytest.mark.parametrize('name, codec', [('a.mp4', 'libx264'), ('a.mov', 'mpeg4'),
                                         ('a.mkv', 'libx264'), ('a.webm', 'libvpx'),
                                         ('a.avi', 'mjpeg')])
def test_frames_and_times(film, images, name, codec):
    video = open_source(film(name, codec))
    frames = list(video)
    assert video.count == len(frames) == COUNT and video.rate == 25
    assert [frame.name for frame in frames] == [str(number) for number in range(COUNT)]
    assert [frame.time for frame in frames] == [Fraction(number, 25) for number in range(COUNT)]
    reader = cv2.VideoCapture(str(video.source))
    for frame, image in zip(frames, images):
        assert far(frame.image, image) < 6
        np.testing.assert_array_equal(frame.image, reader.read()[1])
    assert [frame.name for frame in video][:2] == ['0', '1']  # it can be read again


@pytest.mark.parametrize('rate', ['211.222', '239.7612', '67.123', '30000/1001'])
def test_any_rate_is_read_and_written_exactly(film, tmp_path, rate):
    rate = Fraction(rate)
    video = Video(film('a.mp4', rate=rate))
    assert video.rate == rate
    frames = list(video)
    copy(video, frames, tmp_path / 'drawn')
    drawn = Video(tmp_path / 'drawn/a.mp4')
    assert drawn.rate == rate
    assert [frame.time for frame in drawn] == [frame.time for frame in frames]
    assert frames[-1].time == (COUNT - 1) / rate


def copy(video, frames, folder):
    folder.mkdir(exist_ok=True)
    writer = video.writer(folder)
    for frame in frames:
        writer.write(frame)
    writer.close()


def test_webm_without_duration(film, tmp_path):
    video = Video(film('live.webm', 'libvpx', live='1'))
    assert video.count is None
    copy(video, video, tmp_path / 'drawn')
    assert len(list(Video(tmp_path / 'drawn/live.mp4'))) == COUNT


ORIENTATIONS = {  # the upper left of the display matrix -> what is shown
    (1, 0, 0, 1): lambda image: image,
    (0, 1, -1, 0): lambda image: np.rot90(image, -1),
    (-1, 0, 0, -1): lambda image: np.rot90(image, 2),
    (0, -1, 1, 0): lambda image: np.rot90(image),
    (-1, 0, 0, 1): lambda image: image[:, ::-1],
    (1, 0, 0, -1): lambda image: image[::-1],
    (0, 1, 1, 0): lambda image: image.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda image: image[::-1, ::-1].transpose(1, 0, 2),
}


@pytest.mark.parametrize('matrix', ORIENTATIONS)
def test_rotation_mark_is_applied(film, images, matrix):
    a, b, c, d = matrix
    one = 1 << 16
    path = film('phone.mp4', matrix=[a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30])
    frame = next(iter(Video(path)))
    assert far(frame.image, ORIENTATIONS[matrix](images[0])) < 6
    if a * d - b * c > 0:  # OpenCV reads rotations, but no mirrors
        reader = cv2.VideoCapture(str(path))
        reader.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        np.testing.assert_array_equal(frame.image, reader.read()[1])


FILMS = [('a.mp4', 'libx264', dict(movflags='faststart')), ('a.mkv', 'libx264', {}),
         ('a.webm', 'libvpx', {}), ('a.avi', 'mjpeg', {}), ('b.avi', 'mpeg4', {})]


@pytest.mark.parametrize('part', [.5, .93])
@pytest.mark.parametrize('name, codec, options', FILMS)
def test_a_short_stream_ends_in_an_error_that_names_the_frame(
        film, images, name, codec, options, part):
    path = film(name, codec, **options)
    content = path.read_bytes()
    # An AVI ends with its index: cut inside the frames.
    length = content.rfind(b'idx1') if name.endswith('.avi') else len(content)
    path.write_bytes(content[:int(length * part)])
    frames = expect_damage(path)
    assert COUNT * (part - .35) < len(frames) < COUNT
    for frame, image in zip(frames, images):
        assert far(frame.image, image) < 6


def expect_damage(path):
    frames = []
    with pytest.raises(OSError, match=f'video .*{path.name} is damaged or incomplete') as caught:
        frames.extend(iter_into(frames, Video(path)))
    assert f'decoding ended before frame {len(frames)} of {COUNT}: ' in str(caught.value)
    return frames


def iter_into(frames, video):
    for frame in video:
        frames.append(frame)
    return ()


@pytest.mark.parametrize('name, codec, options', [
    film for film in FILMS if film[1] != 'libvpx'])  # VP8 has no checksums
def test_a_damaged_stream_ends_in_an_error(film, name, codec, options):
    path = film(name, codec, **options)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle:middle + 1000] = bytes(1000)
    path.write_bytes(content)
    expect_damage(path)


def test_a_packet_that_the_decoder_refuses_ends_in_an_error(av, film):
    path = film('a.mp4')
    with av.open(str(path)) as container:
        start, size = [(packet.pos, packet.size) for packet in container.demux(video=0)][20]
    content = bytearray(path.read_bytes())
    content[start:start + size] = b'\xff' * size
    path.write_bytes(content)
    expect_damage(path)


@pytest.mark.parametrize('name, codec', [('a.mkv', 'libx264'), ('a.webm', 'libvpx')])
def test_a_stream_that_ends_before_the_stated_time_is_not_whole(film, name, codec):
    path = film(name, codec)
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(len(content) - half))  # as an aborted copy leaves it
    assert len(expect_damage(path)) > COUNT / 4


@pytest.mark.parametrize('text', [b'xx:yy:zz', b'00-00-01'])
def test_a_stated_duration_that_is_none_is_ignored(film, text):
    path = film('a.mkv')
    path.write_bytes(path.read_bytes().replace(b'00:00:01', text))
    assert text in path.read_bytes()
    assert len(list(Video(path))) == COUNT


def test_what_an_edit_list_cuts_off_is_not_missing(film):
    path = film('trimmed.mp4')
    content = path.read_bytes()
    entry = content.index(b'elst') + 12  # duration in ms, then start
    assert struct.unpack('>I', content[entry:entry + 4]) == (COUNT * 40,)
    path.write_bytes(content[:entry] + struct.pack('>I', 800) + content[entry + 4:])
    assert len(list(Video(path))) == 20


@pytest.mark.parametrize('content', [
    b'', b'no video', b'ffconcat version 1.0\nfile a.mp4\n',
    b'#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\na.mp4\n#EXT-X-ENDLIST\n'])
def test_other_files_and_playlists_are_refused(film, tmp_path, content):
    film('a.mp4')
    path = tmp_path / 'other.mp4'
    path.write_bytes(content)
    with pytest.raises(OSError, match='other.mp4 cannot be read as a video: '):
        open_source(path)


def test_sound_alone_is_no_video(av, tmp_path):
    path = tmp_path / 'sound.mkv'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('pcm_s16le', rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), 's16', 'mono')
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(OSError, match='sound.mkv holds no video'):
        Video(path)


def test_an_mp4_that_was_cut_before_its_index_is_refused(film):
    path = film('a.mp4')
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(OSError, match='a.mp4 (cannot be read as a video|holds no video)'):
        Video(path)


def test_variable_rate_keeps_its_times_and_starts_at_zero(av, images, tmp_path):
    times = [Fraction(int(time), 1000) for time in
             95_443_000 + np.random.default_rng(0).integers(5, 300, COUNT).cumsum()]
    write(tmp_path / 'a.mp4', images, times)
    frames = list(Video(tmp_path / 'a.mp4'))
    assert [frame.time for frame in frames] == [time - times[0] for time in times]
    for frame, image in zip(frames, images):
        assert far(frame.image, image) < 6


def write(path, images, times, inputs=()):
    writer = VideoWriter(path, Fraction(25), Fraction(1, 1000), list(inputs))
    for number, (image, time) in enumerate(zip(images, times)):
        writer.write(Frame(str(number), image, time))
    writer.close()


def test_frames_at_one_time_are_kept(av, images, tmp_path):
    write(tmp_path / 'a.mp4', images, [Fraction(0)] * 3 + [Fraction(1)])
    assert [float(frame.time) for frame in Video(tmp_path / 'a.mp4')] == [0, .001, .002, 1]


def test_browsers_play_what_is_written(av, tmp_path):
    colours = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255), (0, 0, 0), (30, 200, 220)]
    image = np.repeat(np.array(colours, np.uint8), 16, axis=0)[None].repeat(64, axis=0)
    path = tmp_path / 'a.mp4'
    write(path, [image] * 5, map(Fraction, range(5)))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ('h264', 'yuv420p')
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
        assert context.color_range == 1
    content = path.read_bytes()
    assert content.index(b'moov') < content.index(b'mdat')  # it plays before it is loaded
    shown = next(iter(Video(path))).image[32, 8::16]
    assert np.abs(shown.astype(int) - colours).max() <= 6


def test_odd_sides_get_their_last_pixels_twice(av, images, tmp_path):
    odd = [image[:HEIGHT - 1, :WIDTH - 3] for image in images]
    write(tmp_path / 'a.mp4', odd, map(Fraction, range(COUNT)))
    image = next(iter(Video(tmp_path / 'a.mp4'))).image
    assert image.shape == (HEIGHT, WIDTH - 2, 3)
    assert far(image[:-1, :-1], odd[0]) < 6
    assert far(image[-1], image[-2]) < 6 and far(image[:, -1], image[:, -2]) < 6


def test_a_video_appears_when_it_is_complete(av, images, tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_bytes(b'earlier')
    writer = VideoWriter(path, Fraction(25), Fraction(1, 1000), [])
    writer.close()
    assert path.read_bytes() == b'earlier'  # no frame, no video
    writer.write(Frame('0', images[0], Fraction(0)))
    assert path.read_bytes() == b'earlier'
    writer.close()
    assert len(list(Video(path))) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named_and_leaves_nothing(av, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        for count in (5, 200):  # noticed at the end, or while frames are written
            with pytest.raises(OSError, match=r'/a\.mp4 cannot be written: File too large'):
                write(tmp_path / 'a.mp4', [noise] * count, map(Fraction, range(count)))
            assert not list(tmp_path.iterdir())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_video_is_not_written_onto_its_source(film):
    path = film('a.mp4')
    before = path.read_bytes()
    video = Video(path)
    assert video.outputs(path.parent) == [path]
    with pytest.raises(ValueError, match='is the input'):
        copy(video, video, path.parent)
    assert path.read_bytes() == before


def test_withoutpyav_videos_name_the_extra_and_photos_work(
        monkeypatch, images, tmp_path):
    monkeypatch.setitem(sys.modules, 'av', None)
    (tmp_path / 'a.mp4').write_bytes(b'any')
    with pytest.raises(ImportError, match=r'pip install "refinepose_mm\[video\]"'):
        open_source(tmp_path / 'a.mp4')
    cv2.imwrite(str(tmp_path / 'a.png'), images[0])
    np.testing.assert_array_equal(next(iter(open_source(tmp_path / 'a.png'))).image, images[0])


def test_photos_go_on_after_a_broken_one(images, tmp_path):
    for name in ('a.png', 'c.PNG', 'd.tiff'):
        cv2.imwrite(str(tmp_path / name), images[0])
    (tmp_path / 'b.jpg').write_bytes(cv2.imencode('.jpg', images[0])[1].tobytes()[:-500])
    (tmp_path / 'folder.jpg').mkdir()
    (tmp_path / 'lost.jpg').symlink_to('nowhere.jpg')
    (tmp_path / 'notes.txt').write_text('no photo')
    photos = open_source(tmp_path)
    assert photos.count == 5
    frames = iter(photos)
    assert next(frames).name == 'a.png'
    with pytest.raises(OSError, match='b.jpg cannot be decoded'):
        next(frames)
    assert [frame.name for frame in (next(frames), next(frames))] == ['c.PNG', 'd.tiff']
    with pytest.raises(FileNotFoundError, match='lost.jpg does not exist'):
        next(frames)


def test_drawn_photos_are_complete_and_never_their_sources(images, tmp_path):
    source = tmp_path / 'a.png'
    cv2.imwrite(str(source), images[0])
    drawn = tmp_path / 'drawn'
    drawn.mkdir()
    writer = open_source(source).writer(drawn)
    writer.write(Frame('a.png', images[1]))
    np.testing.assert_array_equal(cv2.imread(str(drawn / 'a.png')), images[1])
    assert list(drawn.iterdir()) == [drawn / 'a.png']
    with pytest.raises(ValueError, match='is the input'):
        open_source(source).writer(tmp_path).write(Frame('a.png', images[1]))
    np.testing.assert_array_equal(cv2.imread(str(source)), images[0])
    wide = np.zeros((1, 16_384, 3), np.uint8)
    with pytest.raises(OSError, match='wide.webp cannot be encoded with 16384x1 pixels'):
        PhotoWriter(drawn, {'wide.webp': tmp_path / 'wide.webp'}).write(Frame('wide.webp', wide))


def test_painter_draws_what_is_above_the_threshold_and_nothing_else():
    metainfo = parse_pose_metainfo(CocoDataset.METAINFO)
    image = np.full((200, 300, 3), 128, np.uint8)
    keypoints = np.full((1, 17, 2), (40., 50.))
    keypoints[0, 0] = 250, 150
    scores = np.zeros((1, 17))
    scores[0, 0] = .5
    drawn = Painter(metainfo, threshold=.4)(image, Poses(keypoints, scores))
    changed = np.argwhere((drawn != image).any(-1))
    assert len(changed) and np.abs(changed - (150, 250)).max() <= 4
    np.testing.assert_array_equal(drawn[150, 250, ::-1], metainfo['keypoint_colors'][0])
    assert (image == 128).all()
    unseen = Painter(metainfo, threshold=.6)(image, Poses(keypoints, scores))
    np.testing.assert_array_equal(unseen, image)
