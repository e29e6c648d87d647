"""Single pictures of a film that `harness video` wrote."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
from av.video.frame import VideoFrame

from evaluate.exceptions import InputError
from evaluate.tracking.video_table import Footage
from harness.images.letterbox import Image
from harness.video.pipeline import SAME_TIME


def stills(path: Path, footage: Footage, rows: Sequence[int]) -> Iterator[Image]:
    """The film's picture for each of these rows of its table: (h, w, 3) RGB, with square pixels.

    Of the film only what lies between each picture and the key picture before it is decoded. Raises InputError when
    the file is no film or damaged there, or is the film of another table.
    """
    try:
        with av.open(path) as file:
            stream: Any = file.streams.best("video")
            there = stream.frames if stream else 0
            if there != len(footage.image_ids):
                raise InputError(
                    f"{path}: want the table's {len(footage.image_ids):,} pictures, there are {there:,}"
                )
            for row in rows:
                frame = _at(file, stream, float(footage.time[row]))
                yield _square(frame, stream.sample_aspect_ratio)
    except av.error.FFmpegError as error:
        raise InputError(
            f"{path}: want a film, FFmpeg cannot read this one: {error.strerror}"
        ) from None


def _at(file: Any, stream: Any, time: float) -> VideoFrame:
    """The frame at a time in seconds."""
    file.seek(round(time / stream.time_base), stream=stream)
    for frame in file.decode(stream):
        if abs(frame.time - time) < SAME_TIME:
            found: VideoFrame = frame
            return found
        if frame.time > time:
            break
    raise InputError(f"{file.name}: want a picture at {time:.3f} s, there is none")


def _square(frame: VideoFrame, pixel_aspect: Fraction | None) -> Image:
    image: Image = frame.to_ndarray(format="rgb24")
    h, w = image.shape[:2]
    return cv2.resize(image, (round(w * (pixel_aspect or 1)), h))
