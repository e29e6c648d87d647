"""Frames and copied packets -> a video file with H.264.

Times without rounding. A time is a whole number of ticks, and each track has its own: at 30000/1001
frames per second a tick of the video is 1001/30000 s, one of the sound 1/48000 s. The writer keeps
each track's ticks as they are in the source, so frames stay where they were, even with a variable
rate, and sound stays with its frame.

One thing in MP4 and MOV counts in ticks of the whole file: the edit list, which says that a track
starts late. By default these are milliseconds, and sound that starts 10 of its ticks late, at 0.21
ms, would move. So the file gets a tick that divides every track's: the least common multiple of
their denominators. Worked example: a video at 1/25 s and sound at 1/48000 s give 1/48000 s. A
multiple that does not fit in 31 bits is replaced by 90 000, in which the usual frame rates are
whole numbers.

Streams can only be added once the first frame is known (its size and colours), and packets of other
tracks may come before it: they wait.
"""

import math
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.codec.context
import av.error
from av.stream import Stream
from av.video.frame import VideoFrame

from evaluate.exceptions import InputError, JobError
from harness.video.source import AnyPacket, Frame, VideoSource

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
ENCODER_SETTINGS = {"preset": "veryfast"}
COMMON_TICKS = 90_000  # per second


def container_format(path: Path) -> str:
    """FFmpeg's name for the format that a file's ending asks for. Raises InputError for others."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: want a video ending in {', '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


class VideoWriter:
    """A file in the making.

    Used as a context manager. At its end the file is complete; after an exception it is worthless.
    Times are the source's, in ticks of its time_base.
    """

    def __init__(self, path: Path, source: VideoSource, kind: str):
        """Write to `path` in a format by FFmpeg's name, such as mp4."""
        self._source = source
        options = {}
        if kind in ("mp4", "mov"):
            options = {"movflags": "+faststart", "movie_timescale": str(_file_ticks(source))}
        self._container = av.open(path, "w", format=kind, container_options=options)
        self._video: Any = None
        self._copies: dict[int, Stream] = {}
        self._waiting: list[AnyPacket] = []
        self.refused = 0  # copied packets that the format did not take

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None and self._video is not None:
                self._container.mux(self._video.encode(None))
        finally:
            self._container.close()

    def copy_packet(self, packet: "AnyPacket") -> None:
        """Add a packet of a copied track as it is."""
        if self._video is None:
            self._waiting.append(packet)
            return
        packet.stream = self._copies[packet.stream_index]
        try:
            self._container.mux(packet)
        except ValueError:  # it has no time, or one that runs backwards
            self.refused += 1

    def write_frame(self, frame: Frame, image: VideoFrame) -> None:
        """Add `image` at the time of a frame of the source."""
        if self._video is None:
            self._start(image)
        image.pts, image.duration = frame.pts, frame.duration
        image.time_base = self._source.time_base
        self._container.mux(self._video.encode(image))

    def _start(self, image: VideoFrame) -> None:
        """Add the streams: by the first frame, all of the source is known."""
        self._video = self._video_stream(image)
        for stream in self._source.copied:
            self._copies[stream.index] = self._copy_of(stream)
        self._container.metadata.update(self._source.metadata)
        self._container.set_chapters(self._source.chapters)
        for packet in self._waiting:
            self.copy_packet(packet)
        self._waiting.clear()

    def _video_stream(self, image: VideoFrame) -> Any:
        source, colours = self._source, self._source.colours
        stream = self._container.add_stream(
            "h264", source.rate, dict(ENCODER_SETTINGS), time_base=source.time_base
        )
        context = stream.codec_context
        context.width, context.height = image.width, image.height
        context.pix_fmt = "yuv420p"
        context.thread_type = av.codec.context.ThreadType.FRAME
        context.sample_aspect_ratio = source.pixel_aspect
        context.colorspace, context.color_range = colours.matrix, colours.range
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        return stream

    def _copy_of(self, stream: Stream) -> Stream:
        try:
            copy = self._container.add_stream_from_template(stream)
        except ValueError:
            name = stream.codec_context.name if stream.codec_context else "unknown"
            kind = self._container.format.name
            raise JobError(
                f"{kind} cannot hold the {stream.type} track {stream.index} ({name}); try .mkv"
            ) from None
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        return copy


def _file_ticks(source: VideoSource) -> int:
    """Ticks per second of the whole file, in which every track's ticks are whole numbers."""
    per_track = ((stream.time_base or Fraction(1)).denominator for stream in source.copied)
    ticks = math.lcm(source.time_base.denominator, *per_track)
    return ticks if ticks < 2**31 else COMMON_TICKS
