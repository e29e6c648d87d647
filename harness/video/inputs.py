"""What a person may name as INPUT: a video file, a folder of images, or a camera."""

import re
import threading
import time
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
from av.stream import Stream

from evaluate.exceptions import InputError
from evaluate.exchange.names import PHOTO_SUFFIXES
from harness.images.photos import read_photo
from harness.video.shots import Shots
from harness.video.source import Event, Frame, VideoSource
from harness.video.video_file import VideoFile
from harness.video.yuv import ColourTags, rgb_to_planes


def open_input(text: str, rate: Fraction) -> VideoSource:
    """A camera's number, a folder of images shown at `rate` per second, or a video file.

    Raises InputError when it cannot be opened.
    """
    if text.isdigit():
        return Camera(int(text))
    path = Path(text)
    return ImageFolder(path, rate) if path.is_dir() else VideoFile(path)


class _FramesOnly:
    """A video source without sound, subtitles or anything else."""

    total: int | None = None
    live = False
    pixel_aspect = Fraction(1)
    colours = ColourTags()
    damaged = 0

    def __init__(self, rate: Fraction, time_base: Fraction):
        self.rate, self.time_base = rate, time_base
        self.copied: list[Stream] = []
        self.metadata: dict[str, str] = {}
        self.chapters: list[Any] = []

    def close(self) -> None:
        """Nothing is open."""


class ImageFolder(_FramesOnly):
    """The images of a folder, in the order of the numbers in their names.

    In tables they go by their file names.
    """

    def __init__(self, folder: Path, rate: Fraction):
        """Raises InputError for a folder without an image."""
        super().__init__(rate, 1 / rate)
        images = (path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
        self._paths = sorted(images, key=lambda path: _numbers_as_numbers(path.name))
        self.total = len(self._paths)
        if not self._paths:
            raise InputError(f"{folder}: want a folder of images, there is none in it")

    def image_id(self, index: int) -> str:
        return self._paths[index].name

    def events(self) -> Generator["Event", None, None]:
        """Raises InputError for an image that cannot be read or has another size than the first."""
        shape, shots = read_photo(self._paths[0]).shape, Shots()
        for index, path in enumerate(self._paths):
            image = read_photo(path)
            if image.shape != shape:
                given, wanted = (f"{w} x {h}" for h, w, _ in (image.shape, shape))
                first = self._paths[0].name
                raise InputError(f"{path}: want {wanted} pixels like {first}, it has {given}")
            planes = rgb_to_planes(image, self.colours)
            yield Frame(index, index, 1, planes, (shape[0], shape[1]), shots.shot_of(planes))


class Camera(_FramesOnly):
    """A camera of this machine, until `stop` is called.

    The time of a frame is when it came, in milliseconds.
    """

    live = True

    def __init__(self, number: int | str):
        """Raises InputError for a camera that OpenCV cannot open."""
        self._name = number
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise InputError(f"camera {number}: want a camera that OpenCV can open; 0 is the first")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        super().__init__(Fraction(round(rate) if 1 <= rate <= 1000 else 25), Fraction(1, 1000))
        self._stopped = threading.Event()

    def image_id(self, index: int) -> str:
        return f"frame_{index}.jpg"

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._capture.release()

    def events(self) -> Generator["Event", None, None]:
        """Raises InputError when no frame comes at all."""
        start, pts, index, shots = time.monotonic(), -1, 0, Shots()
        while not self._stopped.is_set():
            came, bgr = self._capture.read()
            if not came:
                break
            milliseconds = round(1000 * (time.monotonic() - start))
            pts = max(pts + 1, milliseconds)  # two frames within one millisecond stay apart
            planes = rgb_to_planes(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), self.colours)
            yield Frame(index, pts, 0, planes, bgr.shape[:2], shots.shot_of(planes))
            index += 1
        if not index:
            raise InputError(f"camera {self._name}: no frame came")


def _numbers_as_numbers(name: str) -> list[tuple[int, str]]:
    """A key that sorts frame_2 before frame_10."""
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d*)", name)]
