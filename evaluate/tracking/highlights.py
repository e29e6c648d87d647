"""Which frames of a video to look at: those with most boxes, and those with most uncertain ones.

The idea. Give each frame a value, and take the frames with the greatest, but not three neighbours
that all show the same scene:

    1. value each frame by its number of boxes, or by the mean entropy of their scores;
    2. split the video into stretches in which the value stays the same and no cut happens;
    3. order frames by value, and equal ones by how far inside their stretch they lie: at its ends
       something is about to come or go, and the longest stretch has the frame furthest inside;
    4. take the first, drop all within `spacing` of it, and repeat.

Worked example. Frames one second apart have the values 0 5 5 5 0 0 5 5 5 5 5 5 5 0. Both stretches
of 5 tie. The first has its middle 1 s from its ends, the second, frames 6 to 12, has frame 9 at 3 s
from either end: frame 9 is the first moment. The video is 13 s long, so spacing is 13 / 12 s,
frames 8 to 10 are gone, and the next moment comes from what is left.

Spacing is a twelfth of the length. Three moments of one kind take away at most 2 / 12 each, so
there is always room for three of another kind that keep away from the first three too.
"""

from collections.abc import Sequence

import numpy as np

from evaluate.tables import Array
from evaluate.tracking.video_detections import VideoDetections

MOMENTS_MAX = 3  # of a kind


def boxes_per_frame(video: VideoDetections) -> Array:
    """Number of boxes on each frame. (I,) int."""
    return np.bincount(video.image, minlength=len(video.image_ids))


def uncertainty(video: VideoDetections) -> Array:
    """Mean binary entropy of the scores on each frame, 0 where there is no box. (I,) bits.

    A score p has -p log2 p - (1 - p) log2 (1 - p): 1 at 0.5, where a box is as likely right as
    wrong, 0 at 0 and 1. It is the mean because a sum would pick the frames with most boxes once
    more. A tracked object has one score, so uncertainty about it lasts as long as it is in sight.

    Source: uncertainty of an image in active learning, https://arxiv.org/abs/1809.09875, "average".
    Differs: entropy of the score, the one probability a table keeps, instead of the margin between
    two classes.
    """
    p = video.score.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.nan_to_num(-p * np.log2(p) - (1 - p) * np.log2(1 - p))
    total = np.bincount(video.image, bits, len(video.image_ids))
    mean: Array = total / np.maximum(boxes_per_frame(video), 1)
    # Rounded, so that frames with the same scores are equal whatever order these were added in.
    return mean.round(6)


def spacing(video: VideoDetections) -> float:
    """Seconds that any two moments are apart, at least."""
    return float(np.ptp(video.time)) / (4 * MOMENTS_MAX)


def moments(value: Array, video: VideoDetections, besides: Sequence[int] = ()) -> list[int]:
    """At most MOMENTS_MAX frames with the greatest value (I,), greatest first, none of value 0.

    They are more than `spacing` apart, from the frames in `besides` too. Of frames with equal
    value, the middle of the longest stretch is taken.
    """
    # 2. the first and last frame of the stretch that each frame belongs to
    time = video.time
    changes = (np.diff(value) != 0) | (np.diff(video.shot) != 0)
    stretch = np.concatenate([[0], np.cumsum(changes)])[: len(time)]
    first = np.searchsorted(stretch, stretch, "left")
    last = np.searchsorted(stretch, stretch, "right") - 1

    # 3.
    inside = np.minimum(time - time[first], time[last] - time)  # seconds to the nearer end
    order = np.lexsort((-inside, -value))
    order = order[value[order] > 0]

    # 4.
    for row in besides:
        order = _apart(order, row, video)
    chosen: list[int] = []
    while len(order) and len(chosen) < MOMENTS_MAX:
        chosen.append(int(order[0]))
        order = _apart(order, chosen[-1], video)
    return chosen


def _apart(rows: Array, row: int, video: VideoDetections) -> Array:
    """Those of `rows` that are further than `spacing` from `row`."""
    seconds: Array = np.abs(video.time[rows] - video.time[row])
    return rows[seconds > spacing(video)]
