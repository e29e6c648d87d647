"""COCO's matching: the detections of one class, best first, at every IoU and for every area range.

1. Take the next detection, unless its image has had 100 of the class.
2. Its overlaps with the truths of its image; most overlap none enough, and are done with here.
3. For each area range and IoU: the free truth that it overlaps most. One that counts comes before
   one that is ignored; a crowd is never taken.
4. Without one it is a false positive, if its own area is in the range. With one that counts it is
   a hit, and its rank is how many detections have counted so far.

Detections that overlap nothing enough are false positives at all ten IoUs at once, so they are
counted in one number per area range (`everywhere`) and only the others in one per IoU (`by_iou`).
"""

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
def judge(rows: Any, image: Any, xyxy: Any, edges: Any, box: Any, crowd: Any, ignored: Any) -> Any:
    """-> hits (A, T, K) int with the best K boxes of an image; ranks of the hits (A, T, M) int.

    rows lists the class's detections, best first. The truths of image i are edges[i] : edges[i + 1]
    of box (M, 5), crowd (M,) and ignored (M, A).
    """
    shape = len(AREA_RANGES), len(IOU_THRESHOLDS)  # (A, T)
    hits = np.zeros((*shape, len(BOXES_MAX)), np.int64)
    ranks = np.zeros((*shape, len(box)), np.int64)
    taken = np.zeros((*shape, len(box)), np.bool_)
    everywhere = np.zeros(len(AREA_RANGES), np.int64)  # detections that count at every IoU
    by_iou = np.zeros(shape, np.int64)  # and at each
    of_image = np.zeros(len(edges) - 1, np.int64)
    iou = np.empty(len(box))
    for row in rows:
        i = image[row]
        of_image[i] += 1
        if of_image[i] > BOXES_MAX[-1]:  # step 1
            continue
        first, stop = edges[i], edges[i + 1]
        area, best = _overlaps(xyxy[row], box, crowd, first, stop, iou)  # step 2
        for a in range(len(AREA_RANGES)):
            inside = AREA_RANGES[a, 0] <= area <= AREA_RANGES[a, 1]
            if best < IOU_THRESHOLDS[0]:
                everywhere[a] += inside
                continue
            for t in range(len(IOU_THRESHOLDS)):
                target, iou_min = -1, IOU_THRESHOLDS[t]
                if best >= iou_min:  # step 3
                    target = _choice(iou, first, stop, ignored[:, a], crowd, taken[a, t], iou_min)
                if target < 0:  # step 4
                    by_iou[a, t] += inside
                    continue
                taken[a, t, target] = True
                if not ignored[target, a]:
                    by_iou[a, t] += 1
                    ranks[a, t, hits[a, t, -1]] = everywhere[a] + by_iou[a, t]
                    hits[a, t] += of_image[i] <= BOXES_MAX
    return hits, ranks


@numba.njit(cache=True, error_model="numpy")
def _overlaps(xyxy: Any, box: Any, crowd: Any, first: int, stop: int, iou: Any) -> Any:
    """Write a detection's overlaps with truths first : stop to `iou`. -> its area, the best one.

    The overlap with a crowd is the part of the detection's own area.
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
    """The free truth of first : stop that is overlapped most, from iou_min; ignored last. Or -1."""
    for last in (False, True):
        choice = -1
        for j in range(first, stop):
            if ignored[j] == last and iou[j] >= iou_min and (crowd[j] or not taken[j]):
                choice, iou_min = j, iou[j]
        if choice >= 0:
            return choice
    return -1
