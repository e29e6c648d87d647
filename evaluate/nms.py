"""Greedy non-maximum suppression over a table. Imports numba: import this module late."""

from typing import Any

import numba
import numpy as np

from evaluate.tables import Array, Detections, InputError, rank_key


def nms(dets: Detections, iou_max: float, *, candidates_max: int = 3000, keep_max: int = 3000) -> Detections:
    """Per image and class, drop each box whose IoU with a better kept box is above `iou_max`.

    The best `candidates_max` boxes of an image enter, the best `keep_max` of those that survive remain; both count
    all classes together. Rows come back grouped by image, best first; equal scores rank in table order. IoU is
    float64 on the boxes as they are: a class offset added to them would round.

    Suppression and both caps only ever act from a higher score on a lower one, so `nms(dets)` cut at a score equals
    `nms` of dets cut at that score: a sweep over confidence needs one call per IoU, not one per pair.

    Raises InputError when iou_max is outside [0, 1].
    """
    if not 0 <= iou_max <= 1:
        raise InputError(f"iou_max is {iou_max}, want 0 to 1")
    rows = np.argsort(rank_key(dets.image, dets.score), kind="stable")  # by image, best first
    rows = rows[_among_first(dets.image[rows], candidates_max)]

    group = dets.image[rows].astype(np.int64) * len(dets.classes) + dets.label[rows]
    by_group = np.argsort(group, kind="stable")
    edges = np.flatnonzero(np.diff(group[by_group], prepend=-1, append=-1))
    alive = np.empty(len(rows), np.bool_)
    alive[by_group] = _survivors(dets.xyxy[rows[by_group]].astype(np.float64), edges, iou_max)

    rows = rows[alive]
    return dets.take(rows[_among_first(dets.image[rows], keep_max)])


def _among_first(image: Array, most: int) -> Array:
    """Which rows of a sorted image column are among the first `most` of their image. (n,) -> (n,) bool."""
    first_row: Array = np.searchsorted(image, image)
    return np.arange(len(image)) - first_row < most


@numba.njit(cache=True)
def _survivors(xyxy: Any, edges: Any, iou_max: float) -> Any:
    """Which boxes survive among those of their group, best first. (n, 4) float64, group edges (g + 1,) -> (n,) bool."""
    alive = np.ones(len(xyxy), np.bool_)
    kept = np.empty(len(xyxy), np.int64)
    area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    for start, stop in zip(edges[:-1], edges[1:]):  # noqa: B905  numba's zip has no strict
        n = 0
        for i in range(start, stop):
            x1, y1, x2, y2 = xyxy[i]
            for j in kept[:n]:
                width = min(x2, xyxy[j, 2]) - max(x1, xyxy[j, 0])
                height = min(y2, xyxy[j, 3]) - max(y1, xyxy[j, 1])
                if width > 0 and height > 0:
                    shared = width * height
                    if shared / (area[i] + area[j] - shared) > iou_max:
                        alive[i] = False
                        break
            if alive[i]:
                kept[n] = i
                n += 1
    return alive
