"""The table of detections on a video: times and shots of frames, and which boxes are one object.

A video is a set of images in order, so its table is Detections with three columns more. Code that
works through a video frame by frame holds the boxes of one frame as FrameBoxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from evaluate.exceptions import InputError
from evaluate.tables import Array, Detections

DRAWN_CONF_MIN = 0.25  # what is drawn and counted unless a person asks for another confidence


class FrameBoxes(NamedTuple):
    """The boxes of one frame."""

    label: Array  # (n,)
    xyxy: Array  # (n, 4) pixels of the frame
    score: Array  # (n,)
    track: Array  # (n,) number of the object, counted from 1; 0 where objects were not tracked


NO_BOXES = FrameBoxes(
    np.zeros(0, np.int16),
    np.zeros((0, 4), np.float32),
    np.zeros(0, np.float32),
    np.zeros(0, np.int32),
)


@dataclass(frozen=True, eq=False)
class VideoDetections(Detections):
    """Detections whose images are the frames of a video, in order.

    Whatever reads Detections can read the file that `save` writes.
    """

    time: NDArray[np.float64]  # (I,) seconds, strictly increasing
    shot: NDArray[np.int32]  # (I,) number of the shot, from 0; it changes at each cut
    track: NDArray[np.int32]  # (N,) number of the object, from 1; 0 where objects were not tracked

    def __post_init__(self) -> None:
        super().__post_init__()
        time, shot = np.asarray(self.time, np.float64), np.asarray(self.shot, np.int32)
        frames = len(self.image_ids)

        for name, column in (("time", time), ("shot", shot)):
            if column.shape != (frames,):
                raise InputError(f"{name} is {column.shape}, want ({frames},): one for each frame")
        if not (np.isfinite(time).all() and (np.diff(time) > 0).all()):
            raise InputError("time has NaN or infinity, or does not grow from frame to frame")

        object.__setattr__(self, "time", time)
        object.__setattr__(self, "shot", shot)

    @classmethod
    def from_frames(
        cls,
        image_ids: Sequence[str],
        classes: Sequence[str],
        time: Sequence[float] | Array,
        shot: Sequence[int] | Array,
        frames: Sequence[FrameBoxes],
    ) -> Self:
        """The table of I frames in order: their names, times, shots and boxes, I of each."""
        boxes_per_frame = [len(boxes.label) for boxes in frames]
        image: Array = np.repeat(np.arange(len(frames)), boxes_per_frame)
        # NO_BOXES in front, so that there is something to concatenate in a video without frames
        label, xyxy, score, track = (
            np.concatenate(columns) for columns in zip(NO_BOXES, *frames, strict=True)
        )
        times, shots = np.asarray(time, np.float64), np.asarray(shot, np.int32)
        return cls(tuple(image_ids), tuple(classes), image, label, xyxy, score, times, shots, track)

    @classmethod
    def _dtypes(cls) -> dict[str, Any]:
        return super()._dtypes() | {"track": np.int32}

    def frames(self) -> list[FrameBoxes]:
        """The boxes of each frame, in table order."""
        columns = self.label, self.xyxy, self.score, self.track
        return [FrameBoxes(*(column[rows] for column in columns)) for rows in self.rows_by_image()]


def drawn_mask(boxes: VideoDetections | FrameBoxes, conf_min: float) -> Array:
    """Which boxes are drawn: tracked objects, and boxes scored `conf_min` or more. -> (n,) bool."""
    drawn: Array = (boxes.track > 0) | (boxes.score >= np.float32(conf_min))
    return drawn
