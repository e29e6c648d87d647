"""Single frames of a video that `harness video` wrote.

A video stores a whole image only now and then (a key frame), and in between what changes. To see
the frame at 9.6 s, FFmpeg jumps to the key frame before it, say at 9.0 s, and decodes from there:
16 frames at 25 per second instead of 241.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
from av.video.frame import VideoFrame

from evaluate.exceptions import InputError
from evaluate.tracking.video_detections import VideoDetections
from harness.images.letterbox import Image
from harness.video.pipeline import SAME_TIME_MAX


def stills(path: Path, video: VideoDetections, rows: Sequence[int]) -> Iterator[Image]:
    """The video's frame for each of these rows of its table: (h, w, 3) RGB, with square pixels.

    Raises InputError when the file is no video, is damaged there, or is not the table's video.
    """
    wanted = len(video.image_ids)
    try:
        with av.open(path) as file:
            stream: Any = file.streams.best("video")
            frames = stream.frames if stream else 0
            if frames != wanted:
                raise InputError(f"{path}: want the table's {wanted:,} frames, it has {frames:,}")
            for row in rows:
                frame = _frame_at(file, stream, float(video.time[row]))
                yield _with_square_pixels(frame, stream.sample_aspect_ratio)
    except av.error.FFmpegError as error:
        reason = error.strerror
        raise InputError(f"{path}: want a video, FFmpeg cannot read this file: {reason}") from None


def _frame_at(file: Any, stream: Any, time: float) -> VideoFrame:
    """The frame at a time in seconds."""
    file.seek(round(time / stream.time_base), stream=stream)
    for decoded in file.decode(stream):
        frame: VideoFrame = decoded
        if abs(decoded.time - time) < SAME_TIME_MAX:
            return frame
        if decoded.time > time:
            break
    raise InputError(f"{file.name}: want a frame at {time:.3f} s, there is none")


def _with_square_pixels(frame: VideoFrame, pixel_aspect: Fraction | None) -> Image:
    image: Image = frame.to_ndarray(format="rgb24")
    h, w = image.shape[:2]
    return cv2.resize(image, (round(w * (pixel_aspect or 1)), h))
