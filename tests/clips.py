"""Small videos that are hard to keep exact, and what is in a video, all with PyAV alone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CORNERS = np.array(
    [[(200, 40, 40), (40, 180, 40)], [(40, 60, 200), (220, 220, 220)]], np.uint8
)  # top row, bottom row
BITS = 10  # of a frame's number, as bars of black and white across the middle


@dataclass(frozen=True)
class Sound:
    """A tone."""

    seconds: float = 2.0
    start: float = 0.0
    codec: str = "aac"
    pitch: float = 440.0


@dataclass(frozen=True)
class Clip:
    """How a clip is made."""

    suffix: str = ".mp4"
    size: tuple[int, int] = (96, 128)  # height, width
    times: list[int] = field(default_factory=lambda: list(range(50)))  # of the frames, in ticks
    tick: Fraction = Fraction(1, 25)
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    sounds: tuple[Sound, ...] = (Sound(),)
    subtitles: bool = False
    rotation: int = 0  # degrees, anticlockwise
    mirrored: bool = False
    matrix: int = 2  # of colours, by H.264's number
    full_range: bool = False
    title: str = ""
    languages: tuple[str, ...] = ()
    pixel_aspect: Fraction = Fraction(1)
    noise: int = 0  # how many grey levels of it, for large packets
    options: tuple[tuple[str, str], ...] = ()  # of the format
    then: Callable[[bytes], bytes] = bytes  # what is done to the file's bytes


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def scratched(data: bytes) -> bytes:
    """Noise over 300 bytes in the middle."""
    middle = len(data) // 2
    return data[:middle] + np.random.default_rng(0).bytes(300) + data[middle + 300 :]


STEPS = np.random.default_rng(1).integers(1, 200, 50)
MATRIX = {
    "constant rate": Clip(),
    "variable rate": Clip(times=np.cumsum(STEPS).tolist(), tick=Fraction(1, 1000)),
    "sound starts late": Clip(sounds=(Sound(1.2, start=0.478),)),
    "sound lasts longer": Clip(sounds=(Sound(3.3),)),
    "two sound tracks": Clip(sounds=(Sound(), Sound(pitch=880))),
    "no sound": Clip(sounds=()),
    "rotated by 90": Clip(rotation=90),
    "rotated by 180": Clip(rotation=180),
    "odd width and height": Clip(size=(97, 127), pix_fmt="yuv444p"),
    "non-square pixels": Clip(pixel_aspect=Fraction(4, 3)),
    "4:4:4": Clip(pix_fmt="yuv444p"),
    "WebM": Clip(".webm", codec="libvpx", sounds=(Sound(codec="libopus"),)),
    "MKV": Clip(".mkv", tick=Fraction(1001, 30_000), subtitles=True),
    "TS": Clip(".ts", options=(("output_ts_offset", "3600"),)),
    "AVI": Clip(".avi", codec="mpeg4", sounds=(Sound(codec="pcm_s16le"),)),
    "truncated with index": Clip(options=(("movflags", "+faststart"),), then=half),
    "truncated without index": Clip(then=half),
    "corrupted middle": Clip(
        times=list(range(600)), sounds=(Sound(24.0),), noise=120, then=scratched
    ),
    "empty": Clip(then=lambda data: b""),
}


def write_clip(path: Path, clip: Clip) -> Path:
    """Write a clip to `path`, whose suffix is the clip's."""
    rng = np.random.default_rng(2)
    with av.open(path, "w", container_options=dict(clip.options)) as out:
        h, w = clip.size
        settings = (
            {"preset": "ultrafast", "deadline": "realtime", "bf": "2"}
            if clip.codec != "mpeg4"
            else {}
        )
        video = out.add_stream(
            clip.codec, 1 / clip.tick, settings, width=w, height=h, time_base=clip.tick
        )
        video.pix_fmt = clip.pix_fmt
        video.codec_context.sample_aspect_ratio = clip.pixel_aspect
        if clip.matrix != 2:
            video.codec_context.colorspace = clip.matrix
            video.codec_context.color_range = 2 if clip.full_range else 1
        if clip.rotation or clip.mirrored:
            video.set_display_rotation(clip.rotation, hflip=clip.mirrored)
        tracks = [out.add_stream(sound.codec, 48_000, layout="mono") for sound in clip.sounds]
        for track, language in zip(tracks, clip.languages):
            track.metadata["language"] = language
        if clip.title:
            out.metadata["title"] = clip.title
            chapter = {
                "id": 1,
                "start": 0,
                "end": 1000,
                "time_base": Fraction(1, 1000),
                "metadata": {"title": "One"},
            }
            out.set_chapters([chapter])
        words = out.add_mux_stream("subrip") if clip.subtitles else None
        out.start_encoding()
        for number, time in enumerate(clip.times):
            image = paint(number, clip.size).astype(int)
            image += (
                rng.integers(-clip.noise // 2, clip.noise // 2 + 1, image.shape)
                if clip.noise
                else 0
            )
            frame = av.VideoFrame.from_ndarray(image.clip(0, 255).astype(np.uint8))
            if clip.matrix != 2:
                frame = frame.reformat(
                    format=clip.pix_fmt,
                    dst_colorspace=min(clip.matrix, 5),
                    dst_color_range=2 if clip.full_range else 1,
                )
            frame.pts, frame.time_base = time, clip.tick
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for sound, track in zip(clip.sounds, tracks):
            write_sound(out, track, sound)
        if words is not None:
            for number in range(3):
                packet = av.Packet(f"line {number}".encode())
                packet.stream, packet.time_base = words, Fraction(1, 1000)
                packet.pts = packet.dts = 300 + 500 * number
                packet.duration = 400
                out.mux(packet)
    path.write_bytes(clip.then(path.read_bytes()))
    return path


def write_sound(out, track, sound: Sound) -> None:
    step = track.codec_context.frame_size or 1024
    start = round(sound.start * 48_000)
    for first in range(0, round(sound.seconds * 48_000), step):
        wave = np.sin(2 * np.pi * sound.pitch * np.arange(first, first + step) / 48_000) * 8000
        frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start + first, Fraction(1, 48_000)
        for converted in av.AudioResampler(track.codec_context.format, "mono", 48_000).resample(
            frame
        ):
            out.mux(track.encode(converted))
    out.mux(track.encode(None))


def paint(number: int, size: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) RGB: a colour in each corner, and the number across the middle."""
    h, w = size
    image = np.kron(CORNERS, np.ones((h // 2 + 1, w // 2 + 1, 1), np.uint8))[:h, :w]
    bars = [(number >> bit & 1) * 255 for bit in range(BITS)]
    image[h // 3 : 2 * h // 3] = np.repeat(bars, w // BITS + 1)[:w, None]
    return image


def number_in(image: np.ndarray) -> int:
    """The number that `paint` painted; size as given to it, but for padding."""
    w = image.shape[1]
    centres = (np.arange(BITS) + 0.5) * (w // BITS + 1)
    bars = image[image.shape[0] // 2, np.minimum(centres, w - 1).astype(int)].mean(1) > 127
    return int(sum(1 << bit for bit, on in enumerate(bars) if on))


@dataclass
class Contents:
    """What is in a file."""

    times: list[Fraction]  # seconds, of each frame
    images: list[np.ndarray]  # (h, w, 3) as stored: not turned
    sounds: list[list[tuple[Fraction, bytes]]]  # of each track its packets, times in seconds
    words: list[list[tuple[Fraction, bytes]]]
    pixel_aspect: Fraction | None
    length: float  # seconds, of the video track


def contents(path: Path) -> Contents:
    with av.open(path) as file:
        video = file.streams.video[0]
        seen = Contents(
            [],
            [],
            [[] for _ in file.streams.audio],
            [[] for _ in file.streams.subtitles],
            None,
            0.0,
        )
        for packet in file.demux():
            if packet.stream is video:
                try:
                    for frame in packet.decode():
                        pts = frame.pts if frame.pts is not None else frame.dts
                        seen.times.append(pts * video.time_base)
                        seen.images.append(frame.to_ndarray(format="rgb24"))
                except av.error.InvalidDataError:
                    pass
            elif packet.size:
                kept = seen.sounds if packet.stream.type == "audio" else seen.words
                track = packet.stream.index - (
                    1 if packet.stream.type == "audio" else 1 + len(seen.sounds)
                )
                kept[track].append((packet.pts * packet.time_base, bytes(packet)))
        seen.pixel_aspect = video.sample_aspect_ratio
        seen.length = float((video.duration or 0) * video.time_base)
    return seen
