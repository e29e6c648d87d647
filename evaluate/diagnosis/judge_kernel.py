"""How detections lie to the truths around them, compiled."""

from typing import Any

import numba
import numpy as np

from evaluate.boxes_kernel import area, intersection, union


@numba.njit(cache=True)
def compare_with_truths(
    xyxy: Any,
    image: Any,
    label: Any,
    truth_xyxy: Any,
    truth_label: Any,
    difficult: Any,
    edges: Any,
    iou_min: float,
) -> Any:
    """How n detections, best first, lie to the truths of their image, edges[image] and on.

    -> best IoU with a truth of its own class and of another, difficult ones left out (2, n);
    those truths (2, n), or -1; the truth that each takes (n,), the best free one of its class from
    `iou_min`, or -1; the largest part of its box inside a difficult truth of its class (n,).
    Of equal truths the first is taken.
    """
    n = len(xyxy)
    iou, target = np.zeros((2, n)), np.full((2, n), -1)  # by own class, other class
    taken, inside = np.full(n, -1), np.zeros(n)
    free = ~difficult
    for i in range(n):
        x1, y1, x2, y2 = xyxy[i]
        own_area = area(x1, y1, x2, y2)
        best_free = 0.0
        for j in range(edges[image[i]], edges[image[i] + 1]):
            u1, v1, u2, v2 = truth_xyxy[j]
            shared = intersection(x1, y1, x2, y2, u1, v1, u2, v2)
            if shared <= 0:
                continue
            other = int(label[i] != truth_label[j])
            if difficult[j]:
                if not other:
                    inside[i] = max(inside[i], shared / own_area)
                continue
            overlap = shared / union(own_area, area(u1, v1, u2, v2), shared)
            if overlap > iou[other, i]:
                iou[other, i], target[other, i] = overlap, j
            if not other and free[j] and overlap > best_free and overlap >= iou_min:
                best_free, taken[i] = overlap, j
        if taken[i] >= 0:
            free[taken[i]] = False  # worse detections have to look for another
    return iou, target, taken, inside
