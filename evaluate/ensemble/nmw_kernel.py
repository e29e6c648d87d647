"""The walk of NMW down the groups of a pool, compiled. nmw.py says what it computes."""

from typing import Any

import numba
import numpy as np

from evaluate.boxes_kernel import area
from evaluate.ensemble.cluster_kernel import largest_group, most_overlapped


@numba.njit(cache=True, nogil=True)
def walk_nmw(xyxy: Any, score: Any, edges: Any, iou_max: float) -> Any:
    """`nmw.nmw`."""
    boxes, scores = np.empty_like(xyxy), np.empty_like(score)
    place, box_count = np.empty(len(score), np.int64), np.empty(len(edges) - 1, np.int64)

    # Of one group: x1, y1, x2, y2 and area of each box's best row; sums over a box's rows.
    largest = largest_group(edges)
    corners, corner_sums = np.empty((5, largest)), np.empty((largest, 4))
    vote_sum, row_count = np.empty(largest), np.empty(largest, np.int64)

    for g in range(len(edges) - 1):
        start, n = edges[g], 0
        for i in range(start, edges[g + 1]):
            # 1. the best row that this row overlaps most, or a new box
            box, iou = most_overlapped(corners, n, xyxy[i], iou_max)
            if box < 0:
                box, n = n, n + 1
                corner_sums[box], vote_sum[box], row_count[box] = 0, 0, 0
                corners[:4, box] = xyxy[i]
                corners[4, box] = area(xyxy[i, 0], xyxy[i, 1], xyxy[i, 2], xyxy[i, 3])
                scores[start + box], vote = score[i], score[i]
            else:
                vote = score[i] * iou
            place[i] = start + box

            # 2. its vote for where the box lies
            corner_sums[box] += vote * xyxy[i]
            vote_sum[box] += vote
            row_count[box] += 1

        # 3. the means; a box of one row is that row, which a mean would round
        box_count[g] = n
        for box in range(n):
            alone = row_count[box] == 1
            boxes[start + box] = corners[:4, box] if alone else corner_sums[box] / vote_sum[box]
    return boxes, scores, box_count, place
