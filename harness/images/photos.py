"""Photos decoded from files, upright, and kept in memory while there is room.

The cache fills up to a number of bytes and never evicts. Training shows the photos of an epoch in
random order and each about equally often, so a photo that came early is worth as much as any other,
and evicting one for the next would only cost time.
"""

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from evaluate.exceptions import InputError
from harness.images.letterbox import Image
from harness.images.photo_files import upright_size


class Photos:
    """Photos by position: `photos[i]` is (h, w, 3) uint8 RGB, read-only.

    Photos are turned as their EXIF orientation says, so boxes are those of the upright photo.
    Decoded photos stay in memory until together they reach `cache_bytes`; later ones are decoded
    each time. Several threads may read at once.
    """

    def __init__(self, paths: Sequence[Path], *, cache_bytes: int = 2 * 1024**3):
        self.paths = tuple(paths)
        self._room = cache_bytes
        self._cache: dict[int, Image] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image:
        """Raises InputError, naming the file, when it is missing or no image."""
        photo = self._cache.get(index)
        if photo is None:
            # Decoded outside the lock: two threads may decode one photo, and the first one is kept.
            photo = read_photo(self.paths[index])
            with self._lock:
                if index not in self._cache and photo.nbytes <= self._room:
                    self._room -= photo.nbytes
                    self._cache[index] = photo
        return photo

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """(height, width) of every photo, from the files' headers."""
        return [_size(path) for path in self.paths]


def read_photo(path: Path) -> Image:
    """A file -> (h, w, 3) uint8 RGB, read-only, upright. Raises InputError naming the file."""
    try:
        photo = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
    except (OSError, cv2.error) as error:
        raise InputError(f"{path}: want an image: {error}") from error
    if photo is None:
        raise InputError(f"{path}: want an image, OpenCV cannot decode this file")
    photo.flags.writeable = False  # it may be shared: painting on it would change later epochs
    return photo


def _size(path: Path) -> tuple[int, int]:
    try:
        return upright_size(path)
    except OSError as error:
        raise InputError(f"{path}: want an image: {error}") from error
