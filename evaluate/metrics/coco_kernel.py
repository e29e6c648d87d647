"""kernel."""

from typing import Any

import numba
import numpy as np

from evaluate.boxes_kernel import intersection, union

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # T
AREA_RANGES = np.array(
    [[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]]
)  # A: all, small, medium, large; ends count
BOXES_MAX = np.array([1, 10, 100])  # K: how many of an image's boxes of a class count


@numba.njit(cache=True, error_model="numpy")
def judge(
    rows: Any,
    image: Any,
    xyxy: Any,
    edges: Any,
    box: Any,
    crowd: Any,
    ignored: Any,
) -> Any:
    """Match the detections of one class, best first, at every IoU and for every area.

    The truths of image i are edges[i] : edges[i + 1] of box (M, 5), crowd (M,) and ignored (M, A).
    -> hits (A, T, K) int; how many detections count down to each hit (A, T, M) int.
    """
    found = np.zeros((len(AREA_RANGES), len(IOU_THRESHOLDS), len(BOXES_MAX)), np.int64)
    seen = np.zeros((len(AREA_RANGES), len(IOU_THRESHOLDS), len(box)), np.int64)
    taken = np.zeros((len(AREA_RANGES), len(IOU_THRESHOLDS), len(box)), np.bool_)
    plain = np.zeros(len(AREA_RANGES), np.int64)  # detections so far that count at every IoU
    others = np.zeros((len(AREA_RANGES), len(IOU_THRESHOLDS)), np.int64)  # and at some
    of_image = np.zeros(len(edges) - 1, np.int64)
    iou = np.empty(len(box))
    for row in rows:
        i = image[row]
        of_image[i] += 1
        if of_image[i] > BOXES_MAX[-1]:
            continue
        area, best = _overlaps(xyxy[row], box, crowd, edges[i], edges[i + 1], iou)
        for a in range(len(AREA_RANGES)):
            inside = AREA_RANGES[a, 0] <= area <= AREA_RANGES[a, 1]
            if best < IOU_THRESHOLDS[0]:
                plain[a] += inside
                continue
            for t in range(len(IOU_THRESHOLDS)):
                target = -1
                if best >= IOU_THRESHOLDS[t]:
                    target = _choice(
                        iou,
                        edges[i],
                        edges[i + 1],
                        ignored[:, a],
                        crowd,
                        taken[a, t],
                        IOU_THRESHOLDS[t],
                    )
                if target < 0:
                    others[a, t] += inside
                    continue
                taken[a, t, target] = True
                if not ignored[target, a]:
                    others[a, t] += 1
                    seen[a, t, found[a, t, -1]] = plain[a] + others[a, t]
                    found[a, t] += of_image[i] <= BOXES_MAX
    return found, seen


@numba.njit(cache=True, error_model="numpy")
def _overlaps(xyxy: Any, box: Any, crowd: Any, first: int, stop: int, iou: Any) -> Any:
    """Write a detection's overlaps with truths first : stop to `iou`, with a crowd over its own area.

    -> its area, the highest overlap.
    """
    x1, y1 = np.float64(xyxy[0]), np.float64(xyxy[1])
    wide, high = np.float64(xyxy[2]) - x1, np.float64(xyxy[3]) - y1
    right, low = wide + x1, high + y1
    area, best = wide * high, 0.0
    for j in range(first, stop):
        shared = intersection(x1, y1, right, low, box[j, 0], box[j, 1], box[j, 2], box[j, 3])
        iou[j] = 0.0
        if shared > 0:
            iou[j] = shared / (area if crowd[j] else union(area, box[j, 4], shared))
            best = max(best, iou[j])
    return area, best


@numba.njit(cache=True, error_model="numpy")
def _choice(
    iou: Any, first: int, stop: int, ignored: Any, crowd: Any, taken: Any, iou_min: float
) -> int:
    """The free truth of first : stop that a detection overlaps most, from iou_min; those ignored come last. Or -1."""
    for last in (False, True):
        choice = -1
        for j in range(first, stop):
            if ignored[j] == last and iou[j] >= iou_min and (crowd[j] or not taken[j]):
                choice, iou_min = j, iou[j]
        if choice >= 0:
            return choice
    return -1
