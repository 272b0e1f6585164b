"""Streams and cameras: read as they come, and ended by Ctrl-C without loss."""

import json
import os
import signal
import threading
import time
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from refinepose_mm import cli
from refinepose_mm.deploy import live
from refinepose_mm.deploy.live import Camera, Stream, open_live

av = pytest.importorskip('av', reason='videos need PyAV')


@contextmanager
def server(content):
    """An HTTP server on this machine; content writes what a reader gets. Yields its address."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            try:
                content(self)
            except OSError:  # the reader has left
                pass

        def log_message(self, *words):
            pass

    http = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield f'127.0.0.1:{http.server_port}'
    finally:
        http.shutdown()
        http.server_close()


@pytest.fixture
def film(tmp_path):
    from refinepose_mm.deploy.video import Frame, VideoWriter
    writer = VideoWriter(tmp_path / 'film.mp4', Fraction(25), Fraction(1, 25), [])
    for number in range(12):
        image = np.full((48, 64, 3), 20 * number, np.uint8)
        writer.write(Frame(str(number), image, Fraction(number, 25)))
    writer.close()
    return tmp_path / 'film.mp4'


def file_of(path):
    def content(handler):
        handler.send_header('Content-Type', 'video/mp4')
        handler.send_header('Content-Length', str(path.stat().st_size))
        handler.end_headers()
        handler.wfile.write(path.read_bytes())
    return content


def test_a_stream_gives_the_frames_of_its_video(film):
    from refinepose_mm.deploy.video import Video
    with server(file_of(film)) as address:
        stream = Stream(f'http://somebody:secret@{address}/films/film.mp4?key=1', stride=2)
        assert str(stream) == f'http://{address}/films/film.mp4'
        assert stream.outputs(film.parent)[0].name == 'film.mp4' and stream.rate == 25
        frames = list(stream)
    expected = list(Video(film, stride=2))
    assert [frame.name for frame in frames] == ['0', '2', '4', '6', '8', '10']
    assert [frame.time for frame in frames] == [frame.time for frame in expected]
    for frame, other in zip(frames, expected):
        np.testing.assert_array_equal(frame.image, other.image)


def test_a_stream_that_breaks_off_keeps_what_came(film, tmp_path, capsys):
    def half(handler):
        handler.send_header('Content-Type', 'video/mp4')
        handler.send_header('Content-Length', str(film.stat().st_size))
        handler.end_headers()
        handler.wfile.write(film.read_bytes()[:-60])

    with server(half) as address:
        code = cli.main(['predict', f'http://{address}/film.mp4', '--output',
                         str(tmp_path / 'out'), '--draw', 'none'])
    assert code in (0, 1)  # by the version of libav, the end of a connection is an end or an error
    table = json.loads((tmp_path / 'out/predictions.json').read_text())
    assert 0 < len(table) <= 12
    assert 'Ctrl-C ends it' in capsys.readouterr().out


def test_ctrl_c_ends_a_stream_and_everything_is_written(tmp_path, capsys):
    from refinepose_mm.deploy.video import Video
    _, picture = cv2.imencode('.jpg', np.full((48, 64, 3), 90, np.uint8))

    def endless(handler):
        handler.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=next')
        handler.end_headers()
        for number in range(3000):
            handler.wfile.write(b'--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n'
                                % len(picture) + picture.tobytes() + b'\r\n')
            if number == 60:
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(.02)

    before = signal.getsignal(signal.SIGINT)
    with server(endless) as address:
        code = cli.main(['predict', f'http://{address}/camera', '--output', str(tmp_path / 'out'),
                         '--batch-size', '4'])
    assert code == 0 and signal.getsignal(signal.SIGINT) is before
    table = json.loads((tmp_path / 'out/predictions.json').read_text())
    frames = list(Video(tmp_path / 'out/camera.mp4'))
    assert 0 < len(frames) == len(table) < 3000
    assert list(table) == [str(number) for number in range(len(table))]
    assert f'{len(table)} persons in {len(table)} images' in capsys.readouterr().out


@pytest.mark.parametrize('address, message', [
    ('ftp://host/a.mp4', 'ftp:// is no address of a stream, expected http://, '),
    ('file:///etc/passwd', 'file:// is no address of a stream'),
    ('http://me:secret@127.0.0.1:9/a', 'http://127.0.0.1:9/a cannot be read as a stream: '),
    ('99', 'camera 99 cannot be opened')])
def test_what_cannot_be_opened_is_one_line(address, message, tmp_path, capsys):
    assert cli.main(['predict', address, '--output', str(tmp_path / 'out')]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and 'secret' not in error and len(error.splitlines()) == 1
    assert not (tmp_path / 'out').exists()


def test_a_playlist_cannot_name_a_file_of_this_machine(film):
    playlist = f'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{film}\n#EXT-X-ENDLIST\n'

    def content(handler):
        handler.send_header('Content-Type', 'application/vnd.apple.mpegurl')
        handler.end_headers()
        handler.wfile.write(playlist.encode())

    with server(content) as address:
        with pytest.raises(OSError, match='cannot be read|holds no video|broke off'):
            list(Stream(f'http://{address}/list.m3u8'))


class FakeCapture:
    """OpenCV's, of a camera that gives five frames."""

    def __init__(self, number):
        self.left = 5

    def isOpened(self):
        return True

    def get(self, name):
        return 15.

    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((48, 64, 3), self.left, np.uint8)

    def release(self):
        pass


def test_a_camera(monkeypatch):
    monkeypatch.setattr(live.cv2, 'VideoCapture', FakeCapture)
    camera = open_live('0', stride=2)
    assert isinstance(camera, Camera) and str(camera) == 'camera 0' and camera.rate == 15
    frames = []
    with pytest.raises(OSError, match='camera 0 gave no frame 5'):
        for frame in camera:
            frames.append(frame)
    assert [frame.name for frame in frames] == ['0', '2', '4']
    times = [frame.time for frame in frames]
    assert times == sorted(times) and times[0] < 1
    camera = open_live('0')
    assert [next(iter(camera)).name] == ['0']
    camera.stop()
    assert list(camera) == []


def test_a_folder_with_a_number_as_name_is_no_camera(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / '0').mkdir()
    assert open_live('0') is None and open_live('photos/a.jpg') is None
