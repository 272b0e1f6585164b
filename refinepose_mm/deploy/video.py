"""Videos by PyAV: upright frames with exact times in, H.264 that browsers play out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from ..files import replacing

if TYPE_CHECKING:
    import av

# Containers that are read. Others, such as playlists, may name further files and addresses.
CONTAINERS = 'mov,matroska,avi,mpegts,mpeg'
USUAL_RATE = Fraction(25)  # for containers that state none
TOLERANCE = Fraction(1, 2)  # seconds that a video may end early: the last frame may stand longer
BT709 = 1  # code of ISO/IEC 23091-2


class Frame(NamedTuple):
    """A photo, or a frame of a video.

    Attributes:
        name: File name of the photo, or number of the frame from '0'.
        image: (H, W, 3), uint8, BGR.
        time: Of a frame, in seconds.
    """

    name: str
    image: np.ndarray
    time: Fraction | None = None


class Video:
    """The frames of a video, upright as its rotation mark says.

    Args:
        source: The file.
        stride: Give every so many frames; names and times stay.

    Attributes:
        paths: The file, in a list.
        skipped: Kind of problem that an early end is.
        rate: Mean frames per second.
        time_base: Unit of the frames' times, in seconds.
        frames: Number of frames as the container states or suggests it, None if it does not.
        count: Of those that are given.

    Raises:
        ImportError: If PyAV is not installed.
        OSError: If it cannot be read as a video. While reading, after the frames that the decoder
            gave before: if it is damaged, or shorter than it should be; names the frame. (In
            VP8, VP9 and MJPEG small damage within a frame cannot be seen.)
    """

    skipped = 'videos that ended early'

    def __init__(self, source: Path, stride: int = 1):
        self.source, self.paths, self.stride = source, [source], stride
        with self._open() as container:
            stream = container.streams.best('video')
            if stream is None:
                raise OSError(f'{source} holds no video')
            self.rate = stream.average_rate or stream.guessed_rate or USUAL_RATE
            self.time_base = stream.time_base
            end = _stated_end(container, stream)
            self.frames = _num_packets(container, stream) or (
                None if end is None else round(end * self.rate))
            self.count = None if self.frames is None else -(-self.frames // stride)

    def _open(self) -> av.container.InputContainer:
        av = pyav()
        try:
            return av.open(f'file:{self.source}', options=dict(
                format_whitelist=CONTAINERS, protocol_whitelist='file'))
        except av.error.FFmpegError as error:
            raise OSError(f'{self.source} cannot be read as a video: {error.strerror}') from None

    def __iter__(self) -> Iterator[Frame]:
        error = pyav().error.FFmpegError
        number, time = 0, -1 / self.rate
        with self._open() as container:
            try:
                for frame in _decode(container, container.streams.best('video')):
                    time = (time + 1 / self.rate if frame.pts is None else
                            frame.pts * self.time_base)
                    if number % self.stride == 0:
                        yield Frame(str(number), upright(frame), time)
                    number += 1
            except (error, EOFError) as cause:
                raise OSError(
                    f'video {self.source} is damaged or incomplete: decoding ended before frame '
                    f'{number}{f" of {self.frames}" if self.frames else ""}: '
                    f'{getattr(cause, "strerror", None) or cause}') from None

    def outputs(self, folder: Path) -> list[Path]:
        """The file that :meth:`writer` will write."""
        return [folder / f'{self.source.stem}.mp4']

    def writer(self, folder: Path) -> VideoWriter:
        """A writer of drawn frames, into ``<name>.mp4``."""
        return VideoWriter(self.outputs(folder)[0], self.rate / self.stride, self.time_base,
                           [self.source])


class VideoWriter:
    """Frames as H.264 in an mp4 file, 4:2:0, BT.709, ready for browsers.

    Times between frames stay as they are, also of a variable rate; the first is shown at 0. H.264
    takes even sizes only: an odd side gets its last row or column twice. The file appears under
    its name when it is complete, at :meth:`close`, and not at all without a frame.

    Args:
        path: Of the file; its folder exists.
        rate: Frames per second, a hint for the encoder.
        time_base: Unit of the frames' times, in seconds.
        inputs: Files that must not be overwritten.

    Raises:
        OSError: While writing, such as on a full disk: nothing appears then.
        ValueError: If the path is an input.
    """

    def __init__(self, path: Path, rate: Fraction, time_base: Fraction, inputs: list[Path]):
        self.path, self.rate, self.time_base, self.inputs = path, rate, time_base, inputs
        self.files = ExitStack()
        self.container = self.stream = None

    def write(self, frame: Frame) -> None:
        """Append a frame; its time must follow that of the frame before."""
        height, width = frame.image.shape[:2]
        image = cv2.copyMakeBorder(
            frame.image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        if self.container is None:
            self._start(image.shape[1], image.shape[0], frame.time)
        picture = pyav().VideoFrame.from_ndarray(image, format='bgr24').reformat(
            format='yuv420p', dst_colorspace='ITU709', dst_color_range='MPEG')
        # Encoders refuse two frames at one time, which damaged clocks produce.
        self.pts = max(self.pts + 1, round((frame.time - self.first) / self.time_base))
        picture.pts, picture.time_base = self.pts, self.time_base
        self._encode(picture)

    def _encode(self, picture: av.VideoFrame | None) -> None:
        error = pyav().error.FFmpegError
        try:
            self.container.mux(self.stream.encode(picture))
            if picture is None:
                self.files.close()
        except error as cause:
            self.container = None
            with suppress(error), self.files:
                raise  # closes the temporary file and removes it
            raise OSError(f'{self.path} cannot be written: {cause.strerror}') from None

    def _start(self, width: int, height: int, first: Fraction) -> None:
        temporary = self.files.enter_context(replacing(self.path, self.inputs))
        self.container = self.files.enter_context(pyav().open(
            f'file:{temporary}', 'w', format='mp4', options=dict(movflags='faststart')))
        self.stream = self.container.add_stream(
            'libx264', rate=self.rate, options=dict(preset='veryfast', crf='20'))
        context = self.stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, 'yuv420p'
        context.time_base = self.time_base
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = 1  # 16 to 235
        self.first, self.pts = first, -1

    def close(self) -> None:
        """Complete the file and put it under its name."""
        if self.container is not None:
            self._encode(None)


def pyav() -> ModuleType:
    """PyAV, which only videos need."""
    try:
        import av
    except ImportError:
        raise ImportError('videos need PyAV, which is not installed: '
                          'pip install "refinepose_mm[video]"') from None
    return av


def _decode(container: av.container.InputContainer,
            stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """All frames in order.

    Raises:
        av.error.FFmpegError: If a packet cannot be decoded.
        EOFError: If a packet is incomplete, or packets are missing at the end.
    """
    # With more threads libavcodec loses marks of damaged frames, by chance or always.
    stream.thread_type = 'NONE'
    packets, end = 0, 0
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise EOFError('a packet is incomplete')
        if packet.dts is None and not packet.size:  # the last: the decoder gives what it still has
            # Before that: the last packet may be half, without a mark, and its frame with it.
            _require_complete(container, stream, packets, end * stream.time_base)
        else:
            packets += 1
            end = max(end, (packet.pts or 0) + (packet.duration or 0))
        for frame in packet.decode():
            if frame.is_corrupt:
                raise EOFError('the frame is damaged')
            yield frame


def _require_complete(container: av.container.InputContainer, stream: av.VideoStream,
                      packets: int, end: Fraction) -> None:
    """Compare what was read, in packets and seconds, with what the file states.

    Raises:
        EOFError: If it states more.
    """
    expected = _num_packets(container, stream)
    if packets < expected:
        raise EOFError(f'the file holds {packets} packets of {expected}')
    if 'matroska' in container.format.name:
        stated = _stated_end(container, stream)
        if stated is not None and end + TOLERANCE < stated:
            raise EOFError(f'the file states {float(stated):.2f} seconds and holds '
                           f'{float(end):.2f}')
        _require_complete_segment(container)


def _num_packets(container: av.container.InputContainer, stream: av.VideoStream) -> int:
    """Number of packets that the header promises, 0 where it does not."""
    if 'mp4' in container.format.name:
        # Unlike the number of frames, the index leaves out what the edit list cuts off.
        return len(stream.index_entries)
    return stream.frames if container.format.name == 'avi' else 0


def _stated_end(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    """End of the stream in seconds as the file states it, None if it does not.

    A container's duration is that of its longest stream, so it counts for a single one only.
    """
    # Matroska's, a free text: 00:00:02.400000000
    stated = re.fullmatch(r'(\d+):(\d+):(\d+(?:[.]\d+)?)', stream.metadata.get('DURATION', ''))
    if stated:
        hours, minutes, seconds = map(Fraction, stated.groups())
        return hours * 3600 + minutes * 60 + seconds
    if stream.duration is not None:
        return stream.duration * stream.time_base
    if container.duration is not None and len(container.streams) == 1:
        return Fraction(container.duration, 1_000_000)
    return None


def _require_complete_segment(container: av.container.InputContainer) -> None:
    """Compare a Matroska file's size with that of its header and segment; libav does not tell."""
    end = 0
    with open(container.name.removeprefix('file:'), 'rb') as file:
        for _ in ('EBML header', 'segment'):
            file.seek(end)
            file.read(4)  # the element's name
            first = file.read(1)[0]
            length = 8 - first.bit_length()  # bytes that follow
            size = int.from_bytes(bytes([first & (0x7f >> length)]) + file.read(length), 'big')
            end = file.tell() + size
    streamed = size == 2 ** (7 * (length + 1)) - 1
    if not streamed and container.size < end:
        raise EOFError(f'the file has {container.size} bytes of {end}')


def upright(frame: av.VideoFrame) -> np.ndarray:
    """The frame's image (H, W, 3), BGR, turned and mirrored as its display matrix says."""
    image = frame.to_ndarray(format='bgr24')
    matrix = frame.side_data.get('DISPLAYMATRIX')
    if matrix is None:
        return image
    # Shown at (a x + c y, b x + d y); rows are (a, b, _), (c, d, _), in units of 2**-16.
    (a, b, _), (c, d, _) = np.frombuffer(bytes(matrix), np.int32).reshape(3, 3)[:2]
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[::-1 if d < 0 else 1, ::-1 if a < 0 else 1])
