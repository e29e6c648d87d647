"""The walk of soft-NMS down a group of boxes, compiled."""

from typing import Any

import numba
import numpy as np

from evaluate.boxes_kernel import intersection, union


@numba.njit(cache=True, nogil=True)
def soften(edges: Any, iou_max: float, sigma: float, xyxy: Any, score: Any) -> None:
    """Decay the scores (N,) float64 in place; gaussian where `sigma` is above 0, else linear.

    Group g is the rows edges[g] : edges[g + 1] of xyxy (N, 4), best first.
    """
    for g in range(len(edges) - 1):
        rows = np.arange(edges[g], edges[g + 1])  # those that are left are the first n
        corners = np.empty((5, len(rows)))  # of those: x1, y1, x2, y2 and area
        corners[:4] = xyxy[edges[g] : edges[g + 1]].T
        corners[4] = (corners[2] - corners[0]) * (corners[3] - corners[1])

        best, n = 0, len(rows)  # the place of the best row that is left
        while n:
            # 1. take the best row
            taken, stop = rows[best], n
            x1, y1, x2, y2, taken_area = corners[:, best].copy()

            best, n = 0, 0
            for k in range(stop):
                row = rows[k]
                if row == taken:
                    continue

                # 2. lower the score of another row by its IoU with the best
                u1, v1, u2, v2, other_area = corners[:, k]
                shared = intersection(x1, y1, x2, y2, u1, v1, u2, v2)
                if shared > 0:
                    iou = shared / union(taken_area, other_area, shared)
                    if sigma > 0:
                        score[row] *= np.exp(-iou * iou / sigma)
                    elif iou > iou_max:
                        score[row] *= 1 - iou

                # 3. close the gap that the taken row has left, and note which row is best now
                rows[n] = row
                for side in range(5):
                    corners[side, n] = corners[side, k]
                if score[row] > score[rows[best]]:
                    best = n
                n += 1
