"""Cameras and streams: frames as they come, until Ctrl-C or the sender ends them."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import cv2

from .video import CONTAINERS, USUAL_RATE, Frame, VideoWriter, pyav, upright

if TYPE_CHECKING:
    import av

TIME_BASE = Fraction(1, 90_000)  # seconds; of streams by RTP, and fine enough for cameras
PATIENCE = 10.  # seconds without an answer or a frame
# What an address may lead to. None of them opens files of this machine.
_WEB, _RTSP = 'http,https,tcp,tls,crypto', 'rtsp,rtsps,rtp,udp,tcp,tls'
PROTOCOLS = {'http': _WEB, 'https': _WEB, 'rtsp': _RTSP, 'rtsps': _RTSP, 'rtmp': 'rtmp,tcp'}
FORMATS = f'{CONTAINERS},rtsp,hls,flv,mpjpeg,mjpeg'


class _Live:
    """What cameras and streams have in common with a video file.

    Attributes:
        paths: No files are read.
        skipped: Kind of problem that an early end is.
        rate: Frames per second, a hint.
        time_base: Unit of the written frames' times, in seconds.
        count: Nobody knows.
    """

    paths: list[Path] = []
    skipped = 'streams that broke off'
    time_base = TIME_BASE
    count = None

    def __init__(self, title: str, name: str, rate: Fraction, stride: int):
        self.title, self.name, self.rate, self.stride = title, name, rate, stride
        self.stopped = False

    def __str__(self) -> str:
        return self.title

    def stop(self) -> None:
        """End the reading after the present frame."""
        self.stopped = True

    def outputs(self, folder: Path) -> list[Path]:
        """The file that :meth:`writer` will write."""
        return [folder / f'{self.name}.mp4']

    def writer(self, folder: Path) -> VideoWriter:
        """A writer of drawn frames, into ``<name>.mp4``."""
        return VideoWriter(self.outputs(folder)[0], self.rate / self.stride, self.time_base, [])


class Camera(_Live):
    """The frames of a camera; times are those of their arrival.

    Frames that come while nobody reads are lost, so that what is read is never old.

    Args:
        number: Of the camera, from 0.
        stride: Give every so many frames.

    Raises:
        OSError: If it cannot be opened or, while reading, gives nothing more.
    """

    def __init__(self, number: int, stride: int = 1):
        self.capture = _quietly_opened(number)
        if not self.capture.isOpened():
            raise OSError(f'camera {number} cannot be opened')
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        super().__init__(f'camera {number}', f'camera{number}',
                         Fraction(rate).limit_denominator(1001) if rate >= 1 else USUAL_RATE,
                         stride)

    def __iter__(self) -> Iterator[Frame]:
        number, first = 0, time.monotonic_ns()
        try:
            while not self.stopped:
                done, image = self.capture.read()
                if not done:
                    raise OSError(f'{self} gave no frame {number}')
                if number % self.stride == 0:
                    passed = Fraction(time.monotonic_ns() - first, 1_000_000_000)
                    yield Frame(str(number), image, passed)
                number += 1
        finally:
            self.capture.release()


class Stream(_Live):
    """The frames of a stream from an address, such as ``rtsp://`` of a network camera.

    Parts that were lost on the way are left out. Messages show neither names nor passwords.

    Args:
        address: http, https (also HLS and Motion JPEG), rtsp, rtsps or rtmp.
        stride: Give every so many frames.

    Raises:
        ImportError: If PyAV is not installed.
        OSError: If there is no video, or none for 10 seconds.
        ValueError: For an address of another kind.
    """

    def __init__(self, address: str, stride: int = 1):
        parts = urlsplit(address)
        if parts.scheme not in PROTOCOLS:
            raise ValueError(f'{parts.scheme}:// is no address of a stream, expected '
                             f'{", ".join(f"{name}://" for name in PROTOCOLS)}')
        self.address, self.protocols = address, PROTOCOLS[parts.scheme]
        title = f'{parts.scheme}://{parts.netloc.rpartition("@")[2]}{parts.path}'
        name = re.sub('[^A-Za-z0-9_-]+', '_', Path(parts.path).stem).strip('_') or 'stream'
        super().__init__(title, name, USUAL_RATE, stride)
        self.container = self._open()  # once: some senders serve a single reader
        self.stream = self.container.streams.best('video')
        if self.stream is None:
            raise OSError(f'{self} holds no video')
        self.rate = self.stream.average_rate or self.stream.guessed_rate or USUAL_RATE

    def _open(self) -> av.container.InputContainer:
        av = pyav()
        try:
            return av.open(self.address, timeout=(PATIENCE, PATIENCE), options=dict(
                format_whitelist=FORMATS, protocol_whitelist=self.protocols,
                rtsp_transport='tcp'))
        except (av.error.FFmpegError, OSError) as error:
            raise OSError(f'{self} cannot be read as a stream: '
                          f'{getattr(error, "strerror", None) or error}') from None

    def __iter__(self) -> Iterator[Frame]:
        number, latest = 0, None
        with self.container:
            for frame in self._decoded():
                latest = ((Fraction(0) if latest is None else latest + 1 / self.rate)
                          if frame.pts is None else frame.pts * frame.time_base)
                if number % self.stride == 0:
                    yield Frame(str(number), upright(frame), latest)
                number += 1
                if self.stopped:
                    return

    def _decoded(self) -> Iterator[av.VideoFrame]:
        error = pyav().error
        try:
            for packet in self.container.demux(self.stream):
                if self.stopped:
                    return
                try:
                    frames = packet.decode()
                except error.InvalidDataError:  # before the first whole picture, or after a loss
                    continue
                yield from (frame for frame in frames if not frame.is_corrupt)
        except error.FFmpegError as cause:
            raise OSError(f'{self} broke off: {cause.strerror}') from None


def open_live(source: str, stride: int = 1) -> Camera | Stream | None:
    """The camera of a number, the stream of an address, or None for anything else."""
    if re.fullmatch('[0-9]{1,3}', source) and not Path(source).exists():
        return Camera(int(source), stride)
    return Stream(source, stride) if re.match('[A-Za-z][A-Za-z0-9+.-]*://', source) else None


@contextmanager
def ended_by_interrupt(source: object) -> Iterator[None]:
    """Let the first Ctrl-C end a camera or stream, so that what was read is finished.

    A second one interrupts as usual. For other sources nothing changes.
    """
    if not isinstance(source, _Live):
        yield
        return
    print(f'reading {source}; Ctrl-C ends it')

    def stop(number: int, frame: object) -> None:
        source.stop()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _quietly_opened(number: int) -> cv2.VideoCapture:
    """OpenCV prints several lines where there is no camera."""
    level = cv2.setLogLevel(0)
    try:
        return cv2.VideoCapture(number)
    finally:
        cv2.setLogLevel(level)
