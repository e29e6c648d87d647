"""A video file -> its pictures, upright and timed, and the packets of its other tracks, in the order of the file."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import av
import av.codec.context
import av.error
import av.format
import cv2
import numpy as np
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame

from evaluate.exceptions import InputError
from harness.images.letterbox import Image
from harness.video.shots import Shots
from harness.video.yuv import Colours, Planes, from_rgb

NOT_TURNED = [1, 0, 0, 0, 1]  # a display matrix, as `_display_matrix` gives it
FAILURES_MAX = 1000  # reads in a row that bring nothing: the rest of the file is lost


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture of a video."""

    index: int  # from 0
    pts: int  # when it is shown, in the source's time_base; grows strictly
    duration: int  # in the source's time_base, 0 where the file does not say
    planes: Planes  # upright, of the same shape for all
    size: tuple[int, int]  # height and width without what makes odd sides even
    shot: int  # number of the shot, from 0; another one after each cut


AnyPacket: TypeAlias = "Packet[Any]"  # generic for the type checker alone
Event: TypeAlias = "Picture | AnyPacket"


class Source(Protocol):
    """What the pipeline asks of an input. All but `time_base` and `copied` is known once the first picture came."""

    time_base: Fraction  # seconds a tick
    rate: Fraction  # pictures a second, on average
    total: int | None  # about how many pictures there are
    live: bool  # there is no second pass, and Ctrl-C ends the recording
    copied: list[Stream]  # tracks whose packets are among the events
    pixel_aspect: Fraction  # width of a pixel / its height
    colours: Colours
    metadata: dict[str, str]
    chapters: list[Any]
    damaged: int  # pictures and stretches that were missing or could not be read whole, so far

    def events(self) -> Generator["Event", None, None]:
        """Pictures and copied packets."""

    def image_id(self, index: int) -> str:
        """The name of a picture in tables."""

    def close(self) -> None:
        """Let go of the file."""


class VideoFile:
    """The first video track of a file, with every audio and subtitle track beside it.

    Damaged parts are skipped and counted, and so are pictures that the file's index lists but that are not there.
    Times are the file's; where a format's clock starts anywhere (MPEG-TS), they count from the file's first. A picture
    without a time follows the one before at the file's rate, one whose time does not grow by a tick. Should the size
    change on the way, pictures are scaled to the first one's.
    """

    live = False

    def __init__(self, path: Path):
        self.path = path
        try:
            self._container = av.open(path, metadata_errors="replace")
        except av.error.FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except av.error.FFmpegError as error:
            raise InputError(
                f"{path}: want a video, FFmpeg cannot read this file: {error.strerror}"
            ) from None
        self._stream = self._video_stream()
        self.time_base = self._stream.time_base or Fraction(1, 90_000)
        self.rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        self.total = self._stream.frames or self._length()
        streams = self._container.streams
        self.copied: list[Stream] = [stream for stream in (*streams.audio, *streams.subtitles)]
        self.pixel_aspect = self._stream.sample_aspect_ratio or Fraction(1)
        self.colours = Colours()
        self.metadata = dict(self._container.metadata)
        self.chapters = self._container.chapters()
        self.damaged = 0
        self._matrix, self._size = NOT_TURNED, (0, 0)
        self._shift = Fraction(0)
        starts_anywhere: Any = av.format.Flags.ts_discont.value
        if self._container.format.flags & starts_anywhere:
            self._shift = Fraction(self._container.start_time or 0, av.time_base)

    def image_id(self, index: int) -> str:
        return f"frame_{index}.jpg"

    def close(self) -> None:
        self._container.close()

    def events(self) -> Generator["Event", None, None]:
        """Raises InputError when there is no picture."""
        index, last, shots = 0, None, Shots()
        for decoded in self._decoded():
            if isinstance(decoded, Packet):
                yield decoded
                continue
            if last is None:
                self._take_note(decoded)
            pts = decoded.pts if decoded.pts is not None else decoded.dts
            if pts is None:
                pts = 0 if last is None else last + max(1, round(1 / (self.rate * self.time_base)))
            else:
                pts -= round(self._shift / self.time_base)
            if last is not None and pts <= last:
                pts = last + 1
            planes = self._planes(decoded)
            yield Picture(index, pts, decoded.duration, planes, self._size, shots.number(planes))
            index, last = index + 1, pts
        if not index:
            raise InputError(f"{self.path}: want a video, no picture of this file can be decoded")

    def _planes(self, frame: VideoFrame) -> Planes:
        """What most files hold is taken as it is; the rest goes by RGB."""
        h, w = frame.height, frame.width
        if self._matrix == NOT_TURNED and (h, w) == self._size and h % 2 == w % 2 == 0:
            if frame.format.name in ("yuv420p", "yuvj420p"):
                return frame.to_ndarray()
        image = _upright(frame.to_ndarray(format="rgb24", threads=1), self._matrix)
        if image.shape[:2] != self._size:
            image = cv2.resize(image, self._size[::-1])
        return from_rgb(image, self.colours)

    def _decoded(self) -> Iterator["VideoFrame | AnyPacket"]:
        """Decoded frames, and the packets of the copied tracks with the time moved."""
        missing = self._stream.frames
        for packet in self._packets():
            if packet.stream_index != self._stream.index:
                ticks = round(self._shift / packet.time_base)
                for name in ("pts", "dts"):
                    if ticks and getattr(packet, name) is not None:
                        setattr(packet, name, getattr(packet, name) - ticks)
                yield packet
            else:
                missing -= 1
                self.damaged += packet.is_corrupt
                yield from self._decode(packet)
        yield from self._decode(None)
        self.damaged += max(0, missing)

    def _packets(self) -> Iterator["AnyPacket"]:
        """Packets that can be read, over damaged places."""
        failures = 0
        while failures < FAILURES_MAX:
            try:
                for packet in self._container.demux(self._stream, *self.copied):
                    if packet.size:  # PyAV ends each stream with an empty one
                        failures = 0
                        yield packet
                return
            except av.error.InvalidDataError:
                failures += 1
                self.damaged += failures == 1

    def _decode(self, packet: "AnyPacket | None") -> list[VideoFrame]:
        try:
            frames: list[VideoFrame] = self._stream.codec_context.decode(packet)
        except av.error.InvalidDataError:
            self.damaged += 1
            return []
        self.damaged += sum(frame.is_corrupt for frame in frames)
        return frames

    def _video_stream(self) -> Any:
        stream = self._container.streams.best("video")
        if stream is None or stream.disposition & Disposition.attached_pic:
            raise InputError(f"{self.path}: want a video, this file has no video track")
        context = stream.codec_context
        if context is None:
            raise InputError(f"{self.path}: FFmpeg has no decoder for this file's video track")
        # A decoder that gives each frame to a thread would answer for one packet with the error of another.
        context.thread_type = av.codec.context.ThreadType.SLICE
        return stream

    def _take_note(self, frame: VideoFrame) -> None:
        """What the first frame says about all."""
        matrix = frame.colorspace or 2  # 0 is RGB, which H.264's planes here are not
        self.colours = Colours(matrix, frame.color_primaries, frame.color_trc, frame.color_range)
        self._matrix = _display_matrix(frame)
        self._size = frame.height, frame.width
        if _lies_on_its_side(self._matrix):
            self._size = frame.width, frame.height
            self.pixel_aspect = 1 / self.pixel_aspect

    def _length(self) -> int | None:
        duration = self._container.duration
        return round(self.rate * duration / av.time_base) if duration else None


def _display_matrix(frame: VideoFrame) -> list[int]:
    """The first five of the nine numbers that turn stored pixels into shown ones: x' = a x + c y, y' = b x + d y.

    A frame asked for its side data refers to itself from then on, and stays in memory until Python looks for such.
    """
    found: Any = frame.side_data.get("DISPLAYMATRIX")
    return (
        np.rint(np.frombuffer(found, np.int32)[:5] / 65536).astype(int).tolist()
        if found is not None
        else NOT_TURNED
    )


def _lies_on_its_side(matrix: list[int]) -> bool:
    return abs(matrix[1]) > abs(matrix[0])


def _upright(image: Image, matrix: list[int]) -> Image:
    """A picture turned and mirrored as its display matrix says, to the nearest quarter turn."""
    a, b, _, c, d = matrix
    rows, columns = d, a
    if _lies_on_its_side(matrix):
        image, rows, columns = image.swapaxes(0, 1), b, c
    return np.ascontiguousarray(image[:: -1 if rows < 0 else 1, :: -1 if columns < 0 else 1])
