"""A video file -> its frames, upright and timed, and the packets of its other tracks."""

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.codec.context
import av.error
import av.format
import cv2
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame

from evaluate.exceptions import InputError
from harness.video.orientation import NOT_TURNED, display_matrix, lies_on_its_side, upright
from harness.video.shots import Shots
from harness.video.source import AnyPacket, Event, Frame
from harness.video.yuv import ColourTags, Planes, rgb_to_planes

FAILURES_MAX = 1000  # reads in a row that bring nothing: the rest of the file is lost
UNSPECIFIED = 2  # H.264's number for a colour matrix that the file does not name


class VideoFile:
    """The first video track of a file, with every audio and subtitle track beside it.

    Damaged parts are skipped and counted, and so are frames that the file's index lists but that
    are missing. Times are the file's own. Where a format lets its clock start anywhere (MPEG-TS),
    they count from the file's first. Should the size change on the way, frames are scaled to the
    first one's.
    """

    live = False

    def __init__(self, path: Path):
        """Raises InputError for a file that is missing or is not a video."""
        self.path = path
        self._container = _opened(path)
        self._stream = _video_stream(self._container, path)
        self.time_base = self._stream.time_base or Fraction(1, 90_000)
        self.rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        self.total = self._stream.frames or self._frames_by_duration()
        streams = self._container.streams
        self.copied: list[Stream] = [stream for stream in (*streams.audio, *streams.subtitles)]
        self.pixel_aspect = self._stream.sample_aspect_ratio or Fraction(1)
        self.colours = ColourTags()
        self.metadata = dict(self._container.metadata)
        self.chapters = self._container.chapters()
        self.damaged = 0
        self._matrix, self._size = NOT_TURNED, (0, 0)
        self._shift = _clock_start(self._container)  # seconds to take off every time

    def image_id(self, index: int) -> str:
        return f"frame_{index}.jpg"

    def close(self) -> None:
        self._container.close()

    def events(self) -> Generator["Event", None, None]:
        """Frames and copied packets, in the file's order. Raises InputError without a frame."""
        index, last, shots = 0, None, Shots()
        for decoded in self._decoded():
            if isinstance(decoded, Packet):
                yield decoded
                continue
            if last is None:
                self._read_first_frame(decoded)
            pts, planes = self._pts(decoded, last), self._planes(decoded)
            yield Frame(index, pts, decoded.duration, planes, self._size, shots.shot_of(planes))
            index, last = index + 1, pts
        if not index:
            raise InputError(f"{self.path}: want a video, no frame of this file can be decoded")

    def _pts(self, frame: VideoFrame, last: int | None) -> int:
        """When a frame is shown, always later than the one at `last`.

        A frame without a time follows the one before at the file's rate; one whose time does not
        grow follows it by one tick.
        """
        pts = frame.pts if frame.pts is not None else frame.dts
        if pts is None:
            pts = 0 if last is None else last + max(1, round(1 / (self.rate * self.time_base)))
        else:
            pts -= round(self._shift / self.time_base)
        return pts if last is None or pts > last else last + 1

    def _planes(self, frame: VideoFrame) -> Planes:
        """The planes as stored if they are 4:2:0 and upright, as in most files; else by RGB."""
        h, w = frame.height, frame.width
        if self._matrix == NOT_TURNED and (h, w) == self._size and h % 2 == w % 2 == 0:
            if frame.format.name in ("yuv420p", "yuvj420p"):
                return frame.to_ndarray()
        image = upright(frame.to_ndarray(format="rgb24", threads=1), self._matrix)
        if image.shape[:2] != self._size:
            image = cv2.resize(image, self._size[::-1])
        return rgb_to_planes(image, self.colours)

    def _decoded(self) -> Iterator["VideoFrame | AnyPacket"]:
        """Decoded frames, and the packets of the copied tracks with their clock at 0."""
        missing = self._stream.frames  # as far as the file's index knows
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
        yield from self._decode(None)  # the frames that the decoder still holds
        self.damaged += max(0, missing)

    def _packets(self) -> Iterator["AnyPacket"]:
        """Packets that can be read, skipping damaged places: each counts once."""
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

    def _read_first_frame(self, frame: VideoFrame) -> None:
        """Take from the first frame what holds for all: colours, orientation and size."""
        matrix = frame.colorspace or UNSPECIFIED  # 0 would be RGB, which these planes are not
        self.colours = ColourTags(matrix, frame.color_primaries, frame.color_trc, frame.color_range)
        self._matrix = display_matrix(frame)
        self._size = frame.height, frame.width
        if lies_on_its_side(self._matrix):
            self._size = frame.width, frame.height
            self.pixel_aspect = 1 / self.pixel_aspect

    def _frames_by_duration(self) -> int | None:
        duration = self._container.duration
        return round(self.rate * duration / av.time_base) if duration else None


def _opened(path: Path) -> Any:
    try:
        return av.open(path, metadata_errors="replace")
    except av.error.FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except av.error.FFmpegError as error:
        reason = error.strerror
        raise InputError(f"{path}: want a video, FFmpeg cannot read this file: {reason}") from None


def _video_stream(container: Any, path: Path) -> Any:
    stream = container.streams.best("video")
    if stream is None or stream.disposition & Disposition.attached_pic:  # that is an album cover
        raise InputError(f"{path}: want a video, this file has no video track")
    context = stream.codec_context
    if context is None:
        raise InputError(f"{path}: FFmpeg has no decoder for this file's video track")
    # A decoder that gives each frame to a thread would report the error of one packet for another.
    context.thread_type = av.codec.context.ThreadType.SLICE
    return stream


def _clock_start(container: Any) -> Fraction:
    """Seconds on the clock at the start of the file; 0 for formats whose times count from 0."""
    starts_anywhere: Any = av.format.Flags.ts_discont.value
    if container.format.flags & starts_anywhere:
        return Fraction(container.start_time or 0, av.time_base)
    return Fraction(0)
