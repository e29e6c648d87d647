"""Pictures and copied packets -> a video file with H.264."""

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
from harness.video.source import AnyPacket, Picture, Source

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
SETTINGS = {"preset": "veryfast"}


def want_format(path: Path) -> str:
    """FFmpeg's name for the format that a file's ending asks for. Raises InputError for one that cannot be written."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: want a video ending in {', '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


class Writer:
    """A file in the making; as a context manager it is complete at the end, and worthless after an exception.

    Times are the source's, in ticks of its time_base.
    """

    def __init__(self, path: Path, source: Source, kind: str):
        """Write to `path` in a format by FFmpeg's name, such as mp4."""
        self._source = source
        ticks = math.lcm(
            source.time_base.denominator, *(_ticks(stream) for stream in source.copied)
        )
        options = {}
        if kind in ("mp4", "mov"):  # edit lists are in the movie's ticks, by default milliseconds
            options = {
                "movflags": "+faststart",
                "movie_timescale": str(ticks if ticks < 2**31 else 90_000),
            }
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
        at: TracebackType | None,
    ) -> None:
        try:
            if error is None and self._video is not None:
                self._container.mux(self._video.encode(None))
        finally:
            self._container.close()

    def copy(self, packet: "AnyPacket") -> None:
        """Add a packet of a copied track as it is."""
        if self._video is None:
            self._waiting.append(packet)
            return
        packet.stream = self._copies[packet.stream_index]
        try:
            self._container.mux(packet)
        except ValueError:  # no time, or one that runs backwards
            self.refused += 1

    def show(self, picture: Picture, frame: VideoFrame) -> None:
        """Add a frame in the place of a picture of the source."""
        if self._video is None:
            self._start(frame)
        frame.pts, frame.time_base, frame.duration = (
            picture.pts,
            self._source.time_base,
            picture.duration,
        )
        self._container.mux(self._video.encode(frame))

    def _start(self, frame: VideoFrame) -> None:
        """Add the streams: all of the source is known now."""
        source = self._source
        video = self._container.add_stream(
            "h264", source.rate, dict(SETTINGS), time_base=source.time_base
        )
        context = video.codec_context
        context.width, context.height = frame.width, frame.height
        context.pix_fmt = "yuv420p"
        context.thread_type = av.codec.context.ThreadType.FRAME
        context.sample_aspect_ratio = source.pixel_aspect
        colours = source.colours
        context.colorspace, context.color_range = colours.matrix, colours.range
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        self._video = video
        for stream in source.copied:
            self._copies[stream.index] = self._copy_of(stream)
        self._container.metadata.update(source.metadata)
        self._container.set_chapters(source.chapters)
        for packet in self._waiting:
            self.copy(packet)
        self._waiting.clear()

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


def _ticks(stream: Stream) -> int:
    return (stream.time_base or Fraction(1)).denominator
