"""The walk of WBF down the groups of a pool, compiled. wbf.py says what it computes.

Each number is rounded where ensemble-boxes rounds it, which is what makes the results equal to the
bit: the package keeps a box's sums, and the mean of several scores, as float32.
"""

from typing import Any

import numba
import numpy as np

from evaluate.boxes_kernel import area
from evaluate.ensemble.cluster_kernel import largest_group, most_overlapped

AVG, MAX, BOX_AND_MODEL_AVG, ABSENT_MODEL_AWARE_AVG = range(4)  # as in rule.CONF_TYPES


@numba.njit(cache=True, nogil=True)
def walk_wbf(
    xyxy: Any,
    score: Any,
    model: Any,
    label: Any,
    edges: Any,
    weight: Any,
    iou_max: float,
    conf_type: int,
) -> Any:
    """`wbf.wbf`, with the conf_type as a number."""
    boxes, scores = np.empty_like(xyxy), np.empty_like(score)
    place, box_count = np.empty(len(score), np.int64), np.empty(len(edges) - 1, np.int64)

    # The fused boxes of one group: x1, y1, x2, y2 and area; sums of score times corner; sum of
    # scores; number of rows.
    largest = largest_group(edges)
    corners, corner_sums = np.empty((5, largest)), np.empty((largest, 4), np.float32)
    score_sum, row_count = np.empty(largest), np.empty(largest, np.int64)

    for g in range(len(edges) - 1):
        start, n = edges[g], 0
        for i in range(start, edges[g + 1]):
            # 1. the box that the row overlaps most, or a new one
            box, _ = most_overlapped(corners, n, xyxy[i], iou_max)
            if box < 0:
                box, n = n, n + 1
                corner_sums[box], score_sum[box], row_count[box] = 0, 0, 0
            place[i] = start + box

            # 2. the row moves the box, which is the mean of its rows by score (written out here:
            # a call for each row costs 5 % of a fusion)
            score_sum[box] += score[i]
            row_count[box] += 1
            for side in range(4):
                corner_sums[box, side] = np.float32(
                    corner_sums[box, side] + score[i] * xyxy[i, side]
                )
                if row_count[box] == 1:
                    mean = xyxy[i, side]
                else:
                    mean = np.float32(corner_sums[box, side] / score_sum[box])
                corners[side, box] = boxes[start + box, side] = mean
            corners[4, box] = area(
                corners[0, box], corners[1, box], corners[2, box], corners[3, box]
            )

        # 3. the scores of the group's boxes
        box_count[g] = n
        rows = slice(start, edges[g + 1])
        _fuse_scores(
            conf_type,
            score_sum[:n],
            row_count[:n],
            score[rows],
            model[rows],
            place[rows] - start,
            np.ascontiguousarray(weight[:, label[start]]),
            scores[rows],
        )
    return boxes, scores, box_count, place


@numba.njit(cache=True, nogil=True)
def _fuse_scores(
    conf_type: int,
    score_sum: Any,
    row_count: Any,
    score: Any,
    model: Any,
    place: Any,
    weight: Any,
    scores: Any,
) -> None:
    """Write the scores of one group's n boxes to `scores`.

    score_sum, row_count (n,) of the boxes; score, model, place (r,) of the rows; weight (M,).
    """
    n, models = len(score_sum), len(weight)

    # Of each box: what its rows weigh, which models they are of, its best row's score.
    row_weight, present = np.zeros(n), np.zeros((n, models), np.bool_)
    for i in range(len(score) - 1, -1, -1):
        scores[place[i]] = score[i]  # backwards: the best row, which is the first, remains
    for i in range(len(score)):
        row_weight[place[i]] += weight[model[i]]
        present[place[i], model[i]] = True

    total, voters = 0.0, 0  # all models' weights, and how many are not 0
    for m in range(models):
        total += weight[m]
        voters += weight[m] > 0

    for box in range(n):
        if conf_type == MAX or row_count[box] == 1:
            mean = scores[box]
        else:
            mean = score_sum[box] / row_count[box]
        if row_count[box] > 1:  # where the package keeps float32
            mean, row_weight[box] = np.float32(mean), np.float32(row_weight[box])

        # what the models weigh that see the box, and those that do not
        present_weight, absent_weight = 0.0, 0.0
        for m in range(models):
            present_weight += weight[m] if present[box, m] else 0.0
            absent_weight += 0.0 if present[box, m] else weight[m]

        if conf_type == AVG:
            fused = mean * min(voters, row_count[box]) / total
        elif conf_type == MAX:
            fused = mean / weight.max()
        elif conf_type == BOX_AND_MODEL_AVG:
            fused = mean * row_count[box] / row_weight[box] * present_weight / total
        else:
            fused = mean * row_count[box] / (row_weight[box] + absent_weight)
        scores[box] = min(fused, 1.0)
