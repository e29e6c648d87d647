"""What `harness video` costs: processor time and memory at 720p without a detector, frames a second with one.

    python benchmarks/video.py PHOTOS [--weights yolov5n.pt] [--minutes 10]

PHOTOS is a folder. The clips are 1280 x 720 at 25 frames a second, H.264 with AAC, four seconds a photo: one stands
still, the other pans and zooms, so that no block of a picture is where it was. The still one is then repeated for so
many minutes to see what happens to the memory.
"""

import argparse
import resource
import tempfile
import time
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from evaluate.tracking.video_table import Footage, Found, gather
from harness.images.photos import read_photo
from harness.inference.backends import open_model
from harness.video.detect import finder
from harness.video.job import film
from harness.video.pipeline import Finder
from harness.video.source import VideoFile

SIZE = (1280, 720)  # width, height
RATE = 25
SHOWN = 4  # seconds a photo
SECONDS = 20


def write_film(photos: list[Path], path: Path, *, moving: bool) -> Path:
    """A film of SECONDS over one photo after the other, with a tone."""
    with av.open(path, "w") as out:
        video = out.add_stream("h264", RATE, {"preset": "veryfast"}, width=SIZE[0], height=SIZE[1])
        video.codec_context.time_base = Fraction(1, RATE)
        sound = out.add_stream("aac", 48_000, layout="mono")
        out.start_encoding()
        for number in range(SECONDS * RATE):
            shot, step = divmod(number, SHOWN * RATE)
            share = step / (SHOWN * RATE) if moving else 0.5
            frame = av.VideoFrame.from_ndarray(moved(read_photo(photos[shot % len(photos)]), share))
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(frame))
            out.mux(sound.encode(tone(number)))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))
    return path


def repeat(clip: Path, path: Path, times: int) -> Path:
    """The packets of a clip of SECONDS, over and over."""
    last: dict[int, int] = {}
    with av.open(path, "w") as out:
        for turn in range(times):
            with av.open(clip) as given:
                tracks = given.streams
                copies = (
                    out.streams
                    if turn
                    else [out.add_stream_from_template(track) for track in tracks]
                )
                for packet in given.demux():
                    ticks = round(turn * SECONDS / packet.time_base)
                    if packet.size and packet.dts + ticks > last.get(packet.stream.index, -(2**40)):
                        packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                        last[packet.stream.index] = packet.dts
                        packet.stream = copies[packet.stream.index]
                        out.mux(packet)
    return path


def moved(photo: np.ndarray, share: float) -> np.ndarray:
    """(720, 1280, 3): the photo with the camera at `share` of its way."""
    h, w = photo.shape[:2]
    zoom = max(SIZE[0] / w, SIZE[1] / h) * (1.0 + 0.3 * share)
    x, y = (w * zoom - SIZE[0]) * share, (h * zoom - SIZE[1]) * (1 - share)
    return cv2.warpAffine(
        photo, np.array([[zoom, 0, -x], [0, zoom, -y]]), SIZE, borderMode=cv2.BORDER_REPLICATE
    )


def tone(number: int) -> av.AudioFrame:
    """The sound of a picture."""
    step = 48_000 // RATE
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(number * step, (number + 1) * step) / 48_000)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None] / 32_768, "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, number * step, Fraction(1, 48_000)
    return frame


def drift(pictures: int) -> Footage:
    """What a detector might have found: eight boxes a picture that drift."""
    found = []
    for number in range(pictures):
        corner = 80 * np.arange(8)[:, None] % (500, 300) + number % 400
        xyxy = np.hstack([corner, corner + 60 + 30 * np.arange(8)[:, None]])
        score = 0.3 + 0.08 * np.arange(8) + 0.001 * (number % 50)
        found.append(Found(np.arange(8), xyxy, score, np.zeros(8, int)))
    ids = [f"frame_{number}.jpg" for number in range(pictures)]
    return gather(ids, tuple("abcdefgh"), np.arange(pictures) / RATE, np.zeros(pictures), found)


class Meter:
    """Counts pictures and looks at the memory in use."""

    def __init__(self) -> None:
        self.pictures = 0
        self.megabytes: list[float] = []

    def update(self, count: int) -> None:
        self.pictures += count
        if self.pictures % 100 == 0:
            self.megabytes.append(resident())


def resident() -> float:
    """Megabytes of memory this process has in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def measure(clip: Path, boxes: Finder | Footage) -> str:
    """Film a clip. -> its cost, in words."""
    meter = Meter()
    before, wall, cpu = resident(), time.perf_counter(), time.process_time()
    film(
        lambda: VideoFile(clip),
        clip.with_name("out.mp4"),
        boxes,
        conf=0.25,
        track=False,
        bar=lambda what, total: nullcontext(meter),
    )
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    third = len(meter.megabytes) // 3
    grown = [
        f"{level - before:.0f}"
        for level in (meter.megabytes[0], meter.megabytes[third], meter.megabytes[-1])
    ]
    return (
        f"{meter.pictures} pictures, {1000 * cpu / meter.pictures:.1f} ms of processor a picture, "
        f"{meter.pictures / wall:.1f} pictures a second; memory at the start, a third and the end "
        f"{', '.join(grown)} MB above what was in use before, {max(meter.megabytes) - before:.0f} MB at most"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--minutes", type=int, default=10)
    given = parser.parse_args()
    photos = sorted(given.photos.glob("*.jpg"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        still, pan = (
            write_film(photos, folder / f"{moving}.mp4", moving=moving) for moving in (False, True)
        )
        for clip, what in ((still, "still"), (pan, "moving")):
            print(f"{what} camera, no detector: {measure(clip, drift(SECONDS * RATE))}", flush=True)
        if given.weights:
            model, size, precision = open_model(given.weights, "auto", "auto")
            found_by = finder(model, size=size, precision=precision, conf_min=0.05, iou_max=0.45)
            found_by.find([np.zeros((SIZE[1], SIZE[0], 3), np.uint8)])
            print(
                f"moving camera, {given.weights.name} at {size}: {measure(pan, found_by)}",
                flush=True,
            )
        if given.minutes:
            long = repeat(still, folder / "long.mp4", given.minutes * 60 // SECONDS)
            print(
                f"still camera for {given.minutes} minutes: {measure(long, drift(given.minutes * 60 * RATE))}"
            )


if __name__ == "__main__":
    main()
