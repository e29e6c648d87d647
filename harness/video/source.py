"""What a video input gives: upright frames with times, and the packets of its other tracks.

Times are integers, counted in ticks of `time_base` seconds: at a time base of 1/25 a frame with
pts 3 is shown at 0.12 s. Nothing is rounded on the way through, because every step keeps the ticks
of the source. ("pts" is FFmpeg's word, presentation time stamp.)
"""

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

from av.packet import Packet
from av.stream import Stream

from harness.video.yuv import ColourTags, Planes


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a video."""

    index: int  # from 0
    pts: int  # when it is shown, in ticks of the source's time_base; strictly increasing
    duration: int  # in the same ticks, 0 where the file does not say
    planes: Planes  # upright, of the same shape for all frames
    size: tuple[int, int]  # height and width without the padding that makes odd sides even
    shot: int  # number of the shot, from 0; it changes at each cut

    def seconds(self, time_base: Fraction) -> float:
        """When it is shown."""
        return float(self.pts * time_base)


AnyPacket: TypeAlias = "Packet[Any]"  # Packet is generic for the type checker only
Event: TypeAlias = "Frame | AnyPacket"


class VideoSource(Protocol):
    """What the pipeline asks of an input.

    All but `time_base` and `copied` is only certain once the first frame has come.
    """

    time_base: Fraction  # seconds per tick
    rate: Fraction  # frames per second, on average
    total: int | None  # about how many frames there are
    live: bool  # there is no second pass, and Ctrl-C ends the recording
    copied: list[Stream]  # tracks whose packets are among the events
    pixel_aspect: Fraction  # width of a pixel / its height
    colours: ColourTags
    metadata: dict[str, str]
    chapters: list[Any]
    damaged: int  # frames and stretches so far that were missing or could not be read whole

    def events(self) -> Generator["Event", None, None]:
        """Frames and copied packets, in the order of the file."""

    def image_id(self, index: int) -> str:
        """The name of a frame in tables."""

    def close(self) -> None:
        """Let go of the file."""
