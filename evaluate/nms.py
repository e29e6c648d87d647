"""Greedy non-maximum suppression over a table. Imports numba: import this module late."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from evaluate.exceptions import InputError
from evaluate.tables import Array, Detections

if TYPE_CHECKING:
    from evaluate.ensemble.pool import Pool

BLOCK = 1 << 20  # rows that are sorted at once
LIMITS_MAX = 64  # bits of a mask
ONE = np.float32(1).view(np.uint32)  # bits of floats from 0 up order as the floats do
LANES = 16  # boxes compared at once


def nms(
    dets: Detections,
    iou_max: float | Array,
    *,
    conf_min: float | Array = 0.0,
    candidates_max: int = 3000,
    keep_max: int = 3000,
) -> Detections:
    """Per image and class, drop each box whose IoU with a better kept box is above `iou_max`.

    The best `candidates_max` boxes of an image enter, less those with a score below `conf_min`; the best `keep_max` of
    those that survive remain. Both caps count all classes together. Either threshold is one number or one for each
    class, (C,). Rows come back grouped by image, best first; equal scores rank in table order. IoU is float64 on the
    boxes as they are: a class offset added to them would round.

    Suppression and both caps only ever act from a higher score on a lower one, so `nms(dets)` cut at a score equals
    `nms` of dets cut at that score: a sweep over confidence needs one call for all.

    Raises InputError when iou_max is outside [0, 1].
    """
    limits = np.broadcast_to(iou_max, len(dets.classes))[:, None]
    blocks = survivor_masks(
        dets, limits, conf_min=conf_min, candidates_max=candidates_max, keep_max=keep_max
    )
    rows = [rows for rows, _ in blocks]
    return dets.take(np.concatenate(rows) if rows else np.empty(0, np.int64))


def survivor_masks(
    dets: "Detections | Pool",
    limits: Array,
    *,
    conf_min: float | Array = 0.0,
    candidates_max: int = 3000,
    keep_max: int = 3000,
) -> Iterator[tuple[Array, Array]]:
    """What `nms` leaves at T limits at once: the rows that survive at any of them, and at which.

    limits: (C, T), T values of iou_max for each class, rising. One pair for each block of images, in their order:
    rows (n,) int64, by image, best first; alive (n,) uint64, bit t of which says that the row survives at limit t.
    Each bit is what a pass with that limit alone would give.
    """
    limits = np.ascontiguousarray(limits, np.float64)
    if not ((limits >= 0) & (limits <= 1)).all():
        raise InputError(f"iou_max is {limits[~((limits >= 0) & (limits <= 1))][0]}, want 0 to 1")
    if limits.shape[1] > LIMITS_MAX:
        raise InputError(
            f"want at most {LIMITS_MAX} limits of IoU at once, there are {limits.shape[1]}"
        )
    confs = np.ascontiguousarray(np.broadcast_to(np.float32(conf_min), len(dets.classes)))
    for rows in image_blocks(dets.image, len(dets.image_ids), BLOCK):
        rows = rows[_by_image_best_first(dets.image[rows], dets.score[rows])]
        columns = (dets.image[rows], dets.label[rows], dets.score[rows], dets.xyxy[rows])
        alive = _alive(*columns, limits, confs, candidates_max, keep_max)
        some = alive > 0
        yield rows[some], alive[some]


def image_blocks(image: Array, images: int, rows_max: int) -> Iterator[Array]:
    """The rows of whole images, in their order, `rows_max` at most unless one image has more. -> (n,) int64 each."""
    rows = (
        np.argsort(image, kind="stable")
        if (image[1:] < image[:-1]).any()
        else np.arange(len(image))
    )
    edges = np.concatenate([[0], np.cumsum(np.bincount(image, minlength=images))])
    start = 0
    while edges[start] < len(rows):
        fits = np.searchsorted(edges, edges[start] + rows_max, side="right") - 1
        stop = max(start + 1, min(fits, start + 4096))
        yield rows[edges[start] : edges[stop]]
        start = stop


def _by_image_best_first(image: Array, score: Array) -> Array:
    """The order by image, then falling score, equal scores as they come. (n,), (n,) float32 -> (n,) int64.

    Image, score and row fit in one integer: 12 bits for a block's images (or one image), 30 for a score, 22 for a row.
    Integers that differ sort several times faster than rows that must stay in place.
    """
    if not len(image):
        return np.empty(0, np.int64)
    digits = len(image).bit_length()
    better = ONE - (score + np.float32(0)).view(np.uint32)  # the sum turns -0.0 into 0.0
    key = ((image - image.min()).astype(np.uint64) << 30 | better) << digits | np.arange(
        len(image), dtype=np.uint64
    )
    key.sort()
    order: Array = key & np.uint64((1 << digits) - 1)
    return order.astype(np.int64)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _alive(
    image: Any,
    label: Any,
    score: Any,
    xyxy: Any,
    limits: Any,
    confs: Any,
    candidates_max: int,
    keep_max: int,
) -> Any:
    """At which limits each row survives, (n,) uint64. Columns (n,) by image, best first; limits (C, T); confs (C,)."""
    alive = np.zeros(len(image), np.uint64)
    group = np.empty(len(image), np.int64)
    stop = 0
    while stop < len(image):
        start = stop
        while stop < len(image) and image[stop] == image[start]:
            stop += 1
        enter = max(start, min(stop, start + candidates_max))
        edges = np.zeros(len(limits) + 1, np.int64)
        for i in range(start, enter):
            edges[label[i] + 1] += score[i] >= confs[label[i]]
        edges = np.cumsum(edges)
        at = edges.copy()
        for i in range(start, enter):
            if score[i] >= confs[label[i]]:
                group[at[label[i]]] = i
                at[label[i]] += 1
        for c in range(len(limits)):
            if edges[c] < edges[c + 1]:
                _suppress(group[edges[c] : edges[c + 1]], xyxy, limits[c], alive)
        if edges[-1] > keep_max:
            _cap(alive[start:enter], keep_max)
    return alive


@numba.njit(cache=True, error_model="numpy")
def _suppress(group: Any, xyxy: Any, limits: Any, alive: Any) -> None:
    """Set `alive` of the rows of one image and class: `group` (g,) lists them, best first."""
    boxes = np.empty(
        (len(group) // LANES + 1, 5, LANES)
    )  # kept ones, a chunk of them x1, y1, x2, y2, area
    boxes[:, :2], boxes[:, 2:4], boxes[:, 4] = (
        np.inf,
        -np.inf,
        0,
    )  # lanes not in use overlap nothing
    boxes_alive = np.empty((len(boxes), LANES), np.uint64)
    overlaps = np.empty(LANES)
    n = 0
    for i in group:
        x1, y1, x2, y2 = xyxy[i].astype(np.float64)
        area = (x2 - x1) * (y2 - y1)
        left = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - len(limits))
        lowest = 0  # limit that the box still survives at
        for chunk in range(-(-n // LANES)):
            kept = boxes[chunk]
            if not _any_near(kept, x1, y1, x2, y2, area, limits[lowest] * (1 - 1e-9)):
                continue
            _overlaps(kept, x1, y1, x2, y2, area, overlaps)
            for k in range(LANES):
                if overlaps[k] > limits[lowest]:
                    left &= ~(boxes_alive[chunk, k] & _bits_below(limits, overlaps[k]))
            if left == 0:
                break
            while not left >> np.uint64(lowest) & np.uint64(1):
                lowest += 1
        if left:
            alive[i] = left
            chunk, k = n // LANES, n % LANES
            boxes[chunk, 0, k], boxes[chunk, 1, k], boxes[chunk, 2, k], boxes[chunk, 3, k] = (
                x1,
                y1,
                x2,
                y2,
            )
            boxes[chunk, 4, k], boxes_alive[chunk, k] = area, left
            n += 1


@numba.njit(cache=True, error_model="numpy")
def _any_near(
    kept: Any, x1: float, y1: float, x2: float, y2: float, area: float, low: float
) -> bool:
    """Whether a box may overlap one of (5, LANES) by more than `low`. Says yes too often by rounding, never no."""
    near = 0
    for k in range(LANES):
        width = max(min(x2, kept[2, k]) - max(x1, kept[0, k]), 0.0)
        height = max(min(y2, kept[3, k]) - max(y1, kept[1, k]), 0.0)
        shared = width * height
        near |= shared > low * (area + kept[4, k] - shared)
    return near != 0


@numba.njit(cache=True, error_model="numpy")
def _overlaps(
    kept: Any, x1: float, y1: float, x2: float, y2: float, area: float, overlaps: Any
) -> None:
    """IoU of a box with each of (5, LANES) into (LANES,); NaN or 0 where nothing is shared."""
    for k in range(LANES):
        width = max(min(x2, kept[2, k]) - max(x1, kept[0, k]), 0.0)
        height = max(min(y2, kept[3, k]) - max(y1, kept[1, k]), 0.0)
        shared = width * height
        overlaps[k] = shared / (area + kept[4, k] - shared)


@numba.njit(cache=True)
def _bits_below(limits: Any, overlap: float) -> Any:
    """A mask of the limits that are below `overlap`."""
    bits = np.uint64(0)
    for t in range(len(limits)):
        bits |= np.uint64(limits[t] < overlap) << np.uint64(t)
    return bits


@numba.njit(cache=True)
def _cap(alive: Any, keep_max: int) -> None:
    """Clear each bit of one image's (n,) uint64 that `keep_max` better rows have set."""
    kept = np.zeros(64, np.int64)
    for i in range(len(alive)):
        for t in range(64):
            if alive[i] >> np.uint64(t) & np.uint64(1):
                if kept[t] == keep_max:
                    alive[i] &= ~(np.uint64(1) << np.uint64(t))
                else:
                    kept[t] += 1
