"""What a person may name as INPUT: a file, a folder of pictures, a camera."""

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
from harness.video.source import Event, Picture, Source, VideoFile
from harness.video.yuv import Colours, from_rgb


def open_input(text: str, rate: Fraction) -> Source:
    """A camera's number, a folder of pictures shown at `rate` a second, or a video file. Raises InputError."""
    if text.isdigit():
        return Camera(int(text))
    path = Path(text)
    return PictureFolder(path, rate) if path.is_dir() else VideoFile(path)


class _Silent:
    """An input of pictures alone."""

    total: int | None = None
    live = False
    pixel_aspect = Fraction(1)
    colours = Colours()
    damaged = 0

    def __init__(self, rate: Fraction, time_base: Fraction):
        self.rate, self.time_base = rate, time_base
        self.copied: list[Stream] = []
        self.metadata: dict[str, str] = {}
        self.chapters: list[Any] = []

    def close(self) -> None:
        """Nothing is open."""


class PictureFolder(_Silent):
    """The pictures of a folder, in the order of the numbers in their names, under their names in tables."""

    def __init__(self, folder: Path, rate: Fraction):
        super().__init__(rate, 1 / rate)
        found = (path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
        self._paths = sorted(found, key=lambda path: _by_number(path.name))
        self.total = len(self._paths)
        if not self._paths:
            raise InputError(f"{folder}: want a folder of pictures, there is none")

    def image_id(self, index: int) -> str:
        return self._paths[index].name

    def events(self) -> Generator["Event", None, None]:
        """Raises InputError for a picture that cannot be read or is of another size than the first."""
        shape, shots = read_photo(self._paths[0]).shape, Shots()
        for index, path in enumerate(self._paths):
            image = read_photo(path)
            if image.shape != shape:
                there, wanted = (f"{w} x {h}" for h, w, _ in (image.shape, shape))
                raise InputError(
                    f"{path}: want {wanted} pixels as {self._paths[0].name} has, there are {there}"
                )
            planes = from_rgb(image, self.colours)
            yield Picture(index, index, 1, planes, (shape[0], shape[1]), shots.number(planes))


class Camera(_Silent):
    """A camera of this machine, until `stop` is called. A picture's time is when it came, in milliseconds."""

    live = True

    def __init__(self, number: int | str):
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
        """Raises InputError when no picture comes at all."""
        start, last, index, shots = time.monotonic(), -1, 0, Shots()
        while not self._stopped.is_set():
            came, image = self._capture.read()
            if not came:
                break
            last = max(last + 1, round(1000 * (time.monotonic() - start)))
            planes = from_rgb(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), self.colours)
            yield Picture(index, last, 0, planes, image.shape[:2], shots.number(planes))
            index += 1
        if not index:
            raise InputError(f"camera {self._name}: no picture came")


def _by_number(name: str) -> list[tuple[int, str]]:
    """A key that puts frame_2 before frame_10."""
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d*)", name)]
