"""What `harness video` costs: processor time and memory at 720p without a detector, speed with one.

    python benchmarks/video.py PHOTOS [--weights yolov5n.pt] [--minutes 10]

PHOTOS is a folder. The clips are 1280 x 720 at 25 frames per second, H.264 with AAC, four seconds
per photo: one stands still, the other pans and zooms, so that no block of a frame is where it was.
The still one is then repeated for so many minutes to see what happens to the memory.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from evaluate.progress import Advance
from evaluate.tracking.video_detections import FrameBoxes, VideoDetections
from harness.cli.process import one_thread_per_photo
from harness.images.photos import read_photo
from harness.inference.backends import open_model
from harness.video.annotate import annotate
from harness.video.detect import frame_detector
from harness.video.pipeline import FrameDetector
from harness.video.video_file import VideoFile

SIZE = (1280, 720)  # width, height
RATE = 25  # frames per second
SECONDS_PER_PHOTO = 4
SECONDS = 20


def write_clip(photos: list[Path], path: Path, *, moving: bool) -> Path:
    """A video of SECONDS that shows one photo after the other, with a tone."""
    with av.open(path, "w") as out:
        video = out.add_stream("h264", RATE, {"preset": "veryfast"}, width=SIZE[0], height=SIZE[1])
        video.codec_context.time_base = Fraction(1, RATE)
        sound = out.add_stream("aac", 48_000, layout="mono")
        out.start_encoding()
        for number in range(SECONDS * RATE):
            shot, step = divmod(number, SECONDS_PER_PHOTO * RATE)
            progress = step / (SECONDS_PER_PHOTO * RATE) if moving else 0.5
            photo = read_photo(photos[shot % len(photos)])
            frame = av.VideoFrame.from_ndarray(camera_view(photo, progress))
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
            with av.open(clip) as source:
                if turn:
                    copies = out.streams
                else:
                    copies = [out.add_stream_from_template(track) for track in source.streams]
                for packet in source.demux():
                    ticks = round(turn * SECONDS / packet.time_base)
                    index = packet.stream.index
                    if packet.size and packet.dts + ticks > last.get(index, -(2**40)):
                        packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                        last[index] = packet.dts
                        packet.stream = copies[index]
                        out.mux(packet)
    return path


def camera_view(photo: np.ndarray, progress: float) -> np.ndarray:
    """(720, 1280, 3): the photo as a camera sees it after `progress`, 0 to 1, of its way across."""
    h, w = photo.shape[:2]
    zoom = max(SIZE[0] / w, SIZE[1] / h) * (1.0 + 0.3 * progress)
    x, y = (w * zoom - SIZE[0]) * progress, (h * zoom - SIZE[1]) * (1 - progress)
    matrix = np.array([[zoom, 0, -x], [0, zoom, -y]])
    return cv2.warpAffine(photo, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)


def tone(number: int) -> av.AudioFrame:
    """The sound during one frame."""
    step = 48_000 // RATE
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(number * step, (number + 1) * step) / 48_000)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None] / 32_768, "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, number * step, Fraction(1, 48_000)
    return frame


def drifting_boxes(frames: int) -> VideoDetections:
    """What a detector might give: eight boxes per frame that drift."""
    boxes = []
    for number in range(frames):
        corner = 80 * np.arange(8)[:, None] % (500, 300) + number % 400
        xyxy = np.hstack([corner, corner + 60 + 30 * np.arange(8)[:, None]])
        score = 0.3 + 0.08 * np.arange(8) + 0.001 * (number % 50)
        boxes.append(FrameBoxes(np.arange(8), xyxy, score, np.zeros(8, int)))
    ids = [f"frame_{number}.jpg" for number in range(frames)]
    time, shot = np.arange(frames) / RATE, np.zeros(frames)
    return VideoDetections.from_frames(ids, tuple("abcdefgh"), time, shot, boxes)


class Meter:
    """A Progress that counts frames and looks at the memory in use."""

    def __init__(self) -> None:
        self.frames = 0
        self.megabytes: list[float] = []

    @contextmanager
    def __call__(
        self, task: str, *, total: int | None = None, unit: str = "it", done: int = 0
    ) -> Iterator[Advance]:
        yield self.advance

    def advance(self, units: int = 1, /, **shown: str) -> None:
        self.frames += units
        if self.frames % 100 == 0:
            self.megabytes.append(resident())


def resident() -> float:
    """Megabytes of memory this process has in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def measure(clip: Path, boxes: FrameDetector | VideoDetections) -> str:
    """Annotate a clip. -> what it cost, in words."""
    meter = Meter()
    before, wall, cpu = resident(), time.perf_counter(), time.process_time()
    annotate(
        lambda: VideoFile(clip),
        clip.with_name("out.mp4"),
        boxes,
        conf_min=0.25,
        track=False,
        progress=meter,
    )
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu

    levels = meter.megabytes
    samples = levels[0], levels[len(levels) // 3], levels[-1]
    grown = ", ".join(f"{level - before:.0f}" for level in samples)
    return (
        f"{meter.frames} frames, {1000 * cpu / meter.frames:.1f} ms of processor per frame, "
        f"{meter.frames / wall:.1f} frames per second; memory at the start, a third and the end "
        f"{grown} MB above what was in use before, {max(levels) - before:.0f} MB at most"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--minutes", type=int, default=10)
    args = parser.parse_args()
    one_thread_per_photo()  # as `harness video` does
    photos = sorted(args.photos.glob("*.jpg"))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        still = write_clip(photos, folder / "still.mp4", moving=False)
        pan = write_clip(photos, folder / "moving.mp4", moving=True)
        for clip in (still, pan):
            cost = measure(clip, drifting_boxes(SECONDS * RATE))
            print(f"{clip.stem} camera, no detector: {cost}", flush=True)

        if args.weights:
            model, size, precision = open_model(args.weights, "auto", "auto")
            detector = frame_detector(
                model, size=size, precision=precision, conf_min=0.05, iou_max=0.45
            )
            detector.detect([np.zeros((SIZE[1], SIZE[0], 3), np.uint8)])  # warm up
            cost = measure(pan, detector)
            print(f"moving camera, {args.weights.name} at {size}: {cost}", flush=True)

        if args.minutes:
            seconds = args.minutes * 60
            long = repeat(still, folder / "long.mp4", seconds // SECONDS)
            cost = measure(long, drifting_boxes(seconds * RATE))
            print(f"still camera for {args.minutes} minutes: {cost}")


if __name__ == "__main__":
    main()
