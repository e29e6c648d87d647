"""Detections over a video: the table, with the time of each picture and which boxes show one object."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluate.exceptions import InputError
from evaluate.tables import Array, Detections


class Found(NamedTuple):
    """The boxes of one picture."""

    label: Array  # (n,)
    xyxy: Array  # (n, 4) pixels of the picture
    score: Array  # (n,)
    track: Array  # (n,) number of the object from 1, 0 where nobody asked


NOTHING = Found(
    np.zeros(0, np.int16),
    np.zeros((0, 4), np.float32),
    np.zeros(0, np.float32),
    np.zeros(0, np.int32),
)


@dataclass(frozen=True, eq=False)
class Footage(Detections):
    """The pictures of a video are its images, in order. Whatever reads Detections reads the file that `save` writes."""

    time: NDArray[np.float64]  # (I,) seconds, grows strictly
    shot: NDArray[np.int32]  # (I,) number of the shot, from 0; another one after each cut
    track: NDArray[np.int32]  # (N,) number of the object from 1, 0 where nobody asked

    def __post_init__(self) -> None:
        super().__post_init__()
        time, shot = np.asarray(self.time, np.float64), np.asarray(self.shot, np.int32)
        for name, column in (("time", time), ("shot", shot)):
            if column.shape != (len(self.image_ids),):
                raise InputError(
                    f"{name} is {column.shape}, want ({len(self.image_ids)},): one for each picture"
                )
        if not (np.isfinite(time).all() and (np.diff(time) > 0).all()):
            raise InputError("time has NaN or infinity, or does not grow from picture to picture")
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "shot", shot)

    @classmethod
    def _dtypes(cls) -> dict[str, Any]:
        return super()._dtypes() | {"track": np.int32}

    def pictures(self) -> list[Found]:
        """The boxes of each picture, in table order."""
        columns = self.label, self.xyxy, self.score, self.track
        return [Found(*(column[rows] for column in columns)) for rows in self.rows_by_image()]


def gather(
    image_ids: Sequence[str],
    classes: Sequence[str],
    time: Sequence[float],
    shot: Sequence[int],
    found: Sequence[Found],
) -> Footage:
    """The table of what was found on each picture."""
    image: Array = np.repeat(np.arange(len(found)), [len(boxes.label) for boxes in found])
    label, xyxy, score, track = (
        np.concatenate(columns) for columns in zip(NOTHING, *found, strict=True)
    )
    times, shots = np.asarray(time, np.float64), np.asarray(shot, np.int32)
    return Footage(tuple(image_ids), tuple(classes), image, label, xyxy, score, times, shots, track)
