"""The moments of a video to look at: where most is found, and where the detector is least sure of what it found."""

from collections.abc import Sequence

import numpy as np

from evaluate.tables import Array
from evaluate.tracking.video_table import Footage

EACH = 3  # moments of a kind


def counts(footage: Footage) -> Array:
    """Boxes on each picture. (I,) int."""
    return np.bincount(footage.image, minlength=len(footage.image_ids))


def doubt(footage: Footage) -> Array:
    """Mean over the boxes of each picture of the binary entropy of their score, 0 where there is none. (I,) bits.

    A score p has -p log2 p - (1 - p) log2 (1 - p): 1 at 0.5, where a box is as likely right as wrong, 0 at 0 and 1.
    The mean, for a sum would find the pictures with most boxes once more. A tracked object has one score, so doubt
    about it lasts as long as it is in sight.

    Source: uncertainty of an image in active learning, https://arxiv.org/abs/1809.09875, "average".
    Differs: entropy of the score, the one probability that a table keeps, in place of the margin of two classes.
    """
    p = footage.score.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.nan_to_num(-p * np.log2(p) - (1 - p) * np.log2(1 - p))
    total = np.bincount(footage.image, bits, len(footage.image_ids))
    mean: Array = total / np.maximum(counts(footage), 1)
    return mean.round(
        6
    )  # pictures of the same objects are level, in whatever order these were added


def spacing(footage: Footage) -> float:
    """Seconds that any two moments are apart: moments of two kinds find room, and none shows its neighbour's scene."""
    return float(np.ptp(footage.time)) / (4 * EACH)


def peaks(value: Array, footage: Footage, besides: Sequence[int] = ()) -> list[int]:
    """At most EACH pictures with the greatest value (I,), the greatest first, never one of value 0.

    They are more than `spacing` apart, from those of `besides` too. Where a value lasts, the middle of the longest
    stretch is taken, for at its ends something is about to come or go.
    """
    time = footage.time
    changes = (np.diff(value) != 0) | (np.diff(footage.shot) != 0)
    stretch = np.concatenate([[0], np.cumsum(changes)])[: len(time)]
    first, last = (np.searchsorted(stretch, stretch, side) for side in ("left", "right"))
    inside = np.minimum(time - time[first], time[last - 1] - time)  # seconds to the nearer end
    order = np.lexsort((-inside, -value))
    order = order[value[order] > 0]
    for row in besides:
        order = _apart(order, row, footage)
    chosen: list[int] = []
    while len(order) and len(chosen) < EACH:
        chosen.append(int(order[0]))
        order = _apart(order, chosen[-1], footage)
    return chosen


def _apart(rows: Array, row: int, footage: Footage) -> Array:
    away: Array = np.abs(footage.time[rows] - footage.time[row])
    return rows[away > spacing(footage)]
