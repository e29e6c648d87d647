"""What WBF and NMW share: a row looks for the box of its group that it overlaps most."""

from typing import Any

import numba
import numpy as np

from evaluate.boxes_kernel import area, intersection, union


@numba.njit(cache=True, nogil=True)
def most_overlapped(corners: Any, n: int, xyxy: Any, iou_max: float) -> tuple[int, float]:
    """The first of n boxes whose IoU with `xyxy` is highest, and that IoU.

    -1 and `iou_max` where none is above `iou_max`. corners (5, >= n) float64: x1, y1, x2, y2 and
    area of the boxes, side by side, so that the loop compares several at once; xyxy (4,).
    """
    x1, y1 = np.float64(xyxy[0]), np.float64(xyxy[1])
    x2, y2 = np.float64(xyxy[2]), np.float64(xyxy[3])
    own_area = area(x1, y1, x2, y2)
    left, top, right, bottom, areas = corners
    best, best_iou = -1, iou_max
    for box in range(n):
        shared = intersection(x1, y1, x2, y2, left[box], top[box], right[box], bottom[box])
        covered = union(areas[box], own_area, shared)
        # IoU > best means shared > best * covered: few pass this, and only those cost a division.
        # The factor lets through what rounding may have put just below.
        if shared > 0.9999 * best_iou * covered:
            iou = shared / covered
            if iou > best_iou:
                best, best_iou = box, iou
    return best, best_iou


@numba.njit(cache=True, nogil=True)
def largest_group(edges: Any) -> int:
    """The most rows that a group has, for buffers that fit every group; 0 without groups."""
    largest = 0
    for g in range(len(edges) - 1):
        largest = max(largest, edges[g + 1] - edges[g])
    return largest
