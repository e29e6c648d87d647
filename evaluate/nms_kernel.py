"""The loops of NMS over masks: steps 2 to 5 of evaluate/nms.py, whose docstring says how they work.

Most pairs of boxes are far apart. A box is therefore compared with LANES kept boxes at once, on
the CPU's vectors and without a division, and only a chunk in which some box may be near enough is
looked at one by one. That most boxes overlap at most a few others is what makes this pay.
"""

from typing import Any

import numba
import numpy as np

from evaluate.boxes_kernel import area, intersection, union

LANES = 16  # kept boxes that are compared at once
ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def alive_masks(
    image: Any,
    label: Any,
    score: Any,
    xyxy: Any,
    iou_thresholds: Any,
    conf_mins: Any,
    candidates_max: int,
    keep_max: int,
) -> Any:
    """At which thresholds each row survives. -> (n,) uint64.

    The columns (n,) come by image, best first; iou_thresholds (C, T) rise; conf_mins (C,).
    """
    alive = np.zeros(len(image), np.uint64)
    group = np.empty(len(image), np.int64)  # an image's rows by class, best first
    stop = 0
    while stop < len(image):
        start = stop
        while stop < len(image) and image[stop] == image[start]:
            stop += 1
        enter = max(start, min(stop, start + candidates_max))

        # a counting sort: how many rows each class has, so where its rows begin, then the rows
        edges = np.zeros(len(iou_thresholds) + 1, np.int64)
        for i in range(start, enter):
            edges[label[i] + 1] += score[i] >= conf_mins[label[i]]
        edges = np.cumsum(edges)
        place = edges.copy()
        for i in range(start, enter):
            if score[i] >= conf_mins[label[i]]:
                group[place[label[i]]] = i
                place[label[i]] += 1

        for c in range(len(iou_thresholds)):
            if edges[c] < edges[c + 1]:
                _suppress(group[edges[c] : edges[c + 1]], xyxy, iou_thresholds[c], alive)
        if edges[-1] > keep_max:
            _cap(alive[start:enter], keep_max)
    return alive


@numba.njit(cache=True, error_model="numpy")
def _suppress(group: Any, xyxy: Any, thresholds: Any, alive: Any) -> None:
    """Steps 2 to 4: set `alive` of one image and class; `group` (g,) lists its rows, best first."""
    kept = _empty_lanes(len(group))
    kept_alive = np.empty((len(kept), LANES), np.uint64)
    overlaps = np.empty(LANES)
    n = 0  # how many are kept
    for i in group:
        x1, y1 = np.float64(xyxy[i, 0]), np.float64(xyxy[i, 1])
        x2, y2 = np.float64(xyxy[i, 2]), np.float64(xyxy[i, 3])
        box_area = area(x1, y1, x2, y2)
        mask = ALL_BITS >> np.uint64(64 - len(thresholds))  # step 2
        lowest = (
            0  # the lowest threshold that the box still survives: what it must overlap to lose one
        )
        for chunk in range(-(-n // LANES)):
            near = thresholds[lowest] * (1 - 1e-9)
            if not _any_near(kept[chunk], x1, y1, x2, y2, box_area, near):
                continue
            _overlaps(kept[chunk], x1, y1, x2, y2, box_area, overlaps)
            for k in range(LANES):
                if overlaps[k] > thresholds[lowest]:  # step 3
                    mask &= ~(kept_alive[chunk, k] & _bits_below(thresholds, overlaps[k]))
            if mask == 0:
                break
            while not mask >> np.uint64(lowest) & np.uint64(1):
                lowest += 1
        if mask:  # step 4
            alive[i] = mask
            kept_alive[n // LANES, n % LANES] = mask
            lane = kept[n // LANES, :, n % LANES]
            lane[0], lane[1], lane[2], lane[3], lane[4] = x1, y1, x2, y2, box_area
            n += 1


@numba.njit(cache=True)
def _empty_lanes(boxes: int) -> Any:
    """Room for so many boxes, in chunks of x1, y1, x2, y2, area. -> (chunks, 5, LANES) float64.

    A lane without a box reaches from infinity to minus infinity, so it overlaps nothing.
    """
    lanes = np.empty((boxes // LANES + 1, 5, LANES))
    lanes[:, :2] = np.inf
    lanes[:, 2:4] = -np.inf
    lanes[:, 4] = 0
    return lanes


@numba.njit(cache=True, error_model="numpy")
def _any_near(
    kept: Any, x1: float, y1: float, x2: float, y2: float, box_area: float, low: float
) -> bool:
    """Whether a box may overlap any of a chunk (5, LANES) by more than `low`.

    IoU > low without a division. The product rounds where the quotient would not, so the caller
    lowers `low` by more than that: yes may be wrong, no never is.
    """
    near = 0
    for k in range(LANES):
        shared = intersection(x1, y1, x2, y2, kept[0, k], kept[1, k], kept[2, k], kept[3, k])
        near |= shared > low * union(box_area, kept[4, k], shared)
    return near != 0


@numba.njit(cache=True, error_model="numpy")
def _overlaps(
    kept: Any, x1: float, y1: float, x2: float, y2: float, box_area: float, overlaps: Any
) -> None:
    """Write a box's IoU with each of a chunk (5, LANES) to (LANES,); NaN or 0 if none is shared."""
    for k in range(LANES):
        shared = intersection(x1, y1, x2, y2, kept[0, k], kept[1, k], kept[2, k], kept[3, k])
        overlaps[k] = shared / union(box_area, kept[4, k], shared)


@numba.njit(cache=True)
def _bits_below(thresholds: Any, overlap: float) -> Any:
    """A mask of the thresholds that are below `overlap`."""
    bits = np.uint64(0)
    for t in range(len(thresholds)):
        bits |= np.uint64(thresholds[t] < overlap) << np.uint64(t)
    return bits


@numba.njit(cache=True)
def _cap(alive: Any, keep_max: int) -> None:
    """Step 5: clear each bit of one image's (n,) uint64 that `keep_max` better rows have set."""
    kept = np.zeros(64, np.int64)
    for i in range(len(alive)):
        for t in range(64):
            if alive[i] >> np.uint64(t) & np.uint64(1):
                if kept[t] == keep_max:
                    alive[i] &= ~(np.uint64(1) << np.uint64(t))
                else:
                    kept[t] += 1
