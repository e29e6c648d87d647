"""Weighted boxes fusion and non-maximum weighted: boxes of one thing become one box. Imports numba."""

from typing import Any

import numba
import numpy as np

from evaluate.ensemble.rule import CONF_TYPES, ConfType
from evaluate.tables import Array

Fused = tuple[
    Array, Array, Array, Array
]  # boxes, scores, how many each group has, the place of each row's box
AVG, MAX, BOX_AND_MODEL_AVG, ABSENT_MODEL_AWARE_AVG = range(4)  # as in CONF_TYPES


def wbf(
    xyxy: Array,
    score: Array,
    model: Array,
    label: Array,
    edges: Array,
    weight: Array,
    iou_max: float,
    conf_type: ConfType,
) -> Fused:
    """Weighted boxes fusion in each group of rows, which come best first.

    xyxy (N, 4) float32; score (N,) float64, already times its weight; model, label (N,); edges (G + 1,) of the groups;
    weight (M, C). -> boxes (N, 4) float32; their scores (N,) float64; how many each group has (G,), from the group's
    first place on, the other places mean nothing; and for each row the place of its box (N,).

    A row joins the fused box that it overlaps most, if by more than `iou_max`, and moves it at once: the mean of its
    rows by score. Else it starts a box. The score of a box of n rows, their mean being s, W all the models' weights:

    * avg: s * min(n, M) / W
    * max: the best row's, over the largest weight
    * box_and_model_avg: s * n / (weights of the n rows) * (weights of the models among them) / W
    * absent_model_aware_avg: s * n / (weights of the n rows and of the models that are not among them)

    Models of weight 0 in a class count nowhere.

    Source: Solovyev et al., https://arxiv.org/abs/1910.13302, and the package ensemble-boxes 1.0.9, whose arithmetic
    this follows to the bit, so the sums of a box are rounded to float32 after each row.
    Differs: equal scores have an order (`pool.rank_pool`); a score above 1, which several rows of one heavy model give
    with avg, is 1; boxes without area stay, alone.
    """
    made: Fused = _wbf(
        edges, iou_max, CONF_TYPES.index(conf_type), xyxy, score, model, label, weight
    )
    return made


def nmw(xyxy: Array, score: Array, edges: Array, iou_max: float) -> Fused:
    """Non-maximum weighted: takes and gives what `wbf` does.

    A row joins the best row of a box, whichever it overlaps most, if by more than `iou_max`. The box is the mean of
    its rows by score times overlap with that best row, whose score it has.

    Source: Zhou et al., "CAD: Scale Invariant Framework for Real-Time Object Detection", 2017, as ensemble-boxes 1.0.9
    has it. Differs: sums are float64, and a box of one row is that row.
    """
    made: Fused = _nmw(edges, iou_max, xyxy, score)
    return made


@numba.njit(cache=True, nogil=True)
def _wbf(
    edges: Any,
    iou_max: float,
    kind: int,
    xyxy: Any,
    score: Any,
    model: Any,
    label: Any,
    weight: Any,
) -> Any:
    boxes, scores = np.empty_like(xyxy), np.empty_like(score)
    place, count = np.empty(len(score), np.int64), np.empty(len(edges) - 1, np.int64)
    longest = _longest(edges)
    corners = np.empty((5, longest))  # x1, y1, x2, y2 and area of the fused boxes
    sums = np.empty((longest, 4), np.float32)  # of score times corner
    conf, size = np.empty(longest), np.empty(longest, np.int64)
    for g in range(len(edges) - 1):
        start, n = edges[g], 0
        for i in range(start, edges[g + 1]):
            box, _ = _most_overlapped(corners, n, xyxy[i], iou_max)
            if box < 0:
                box, n = n, n + 1
                sums[box], conf[box], size[box] = 0, 0, 0
            place[i] = start + box
            conf[box] += score[i]
            size[box] += 1
            for side in range(4):
                sums[box, side] = np.float32(sums[box, side] + score[i] * xyxy[i, side])
                mean = xyxy[i, side] if size[box] == 1 else np.float32(sums[box, side] / conf[box])
                corners[side, box] = boxes[start + box, side] = mean
            corners[4, box] = (corners[2, box] - corners[0, box]) * (
                corners[3, box] - corners[1, box]
            )
        count[g] = n
        of_class = np.ascontiguousarray(weight[:, label[start]])
        rows = slice(start, edges[g + 1])
        _confidences(
            kind,
            conf[:n],
            size[:n],
            score[rows],
            model[rows],
            place[rows] - start,
            of_class,
            scores[rows],
        )
    return boxes, scores, count, place


@numba.njit(cache=True, nogil=True)
def _confidences(
    kind: int, conf: Any, size: Any, score: Any, model: Any, place: Any, weight: Any, scores: Any
) -> None:
    """Write the scores of one group's n boxes. conf, size (n,): sum and number of rows; weight (M,)."""
    n, models = len(conf), len(weight)
    own, among = (
        np.zeros(n),
        np.zeros((n, models), np.bool_),
    )  # weights of the rows, summed; models of the rows
    for i in range(len(score) - 1, -1, -1):
        scores[place[i]] = score[i]  # in the end that of the best row
    for i in range(len(score)):
        own[place[i]] += weight[model[i]]
        among[place[i], model[i]] = True
    total, voters = 0.0, 0
    for m in range(models):
        total += weight[m]
        voters += weight[m] > 0
    for box in range(n):
        mean = scores[box] if kind == MAX or size[box] == 1 else conf[box] / size[box]
        if size[box] > 1:  # where the package keeps float32
            mean, own[box] = np.float32(mean), np.float32(own[box])
        here, absent = 0.0, 0.0
        for m in range(models):
            here += weight[m] if among[box, m] else 0.0
            absent += 0.0 if among[box, m] else weight[m]
        if kind == AVG:
            fused = mean * min(voters, size[box]) / total
        elif kind == MAX:
            fused = mean / weight.max()
        elif kind == BOX_AND_MODEL_AVG:
            fused = mean * size[box] / own[box] * here / total
        else:
            fused = mean * size[box] / (own[box] + absent)
        scores[box] = min(fused, 1.0)


@numba.njit(cache=True, nogil=True)
def _nmw(edges: Any, iou_max: float, xyxy: Any, score: Any) -> Any:
    boxes, scores = np.empty_like(xyxy), np.empty_like(score)
    place, count = np.empty(len(score), np.int64), np.empty(len(edges) - 1, np.int64)
    longest = _longest(edges)
    corners = np.empty((5, longest))  # x1, y1, x2, y2 and area of the best rows
    sums, total, size = np.empty((longest, 4)), np.empty(longest), np.empty(longest, np.int64)
    for g in range(len(edges) - 1):
        start, n = edges[g], 0
        for i in range(start, edges[g + 1]):
            box, iou = _most_overlapped(corners, n, xyxy[i], iou_max)
            if box < 0:
                box, n = n, n + 1
                sums[box], total[box], size[box] = 0, 0, 0
                corners[:4, box] = xyxy[i]
                corners[4, box] = (xyxy[i, 2] - xyxy[i, 0]) * (xyxy[i, 3] - xyxy[i, 1])
                scores[start + box], share = score[i], score[i]
            else:
                share = score[i] * iou
            place[i] = start + box
            sums[box] += share * xyxy[i]
            total[box] += share
            size[box] += 1
        count[g] = n
        for box in range(n):
            boxes[start + box] = corners[:4, box] if size[box] == 1 else sums[box] / total[box]
    return boxes, scores, count, place


@numba.njit(cache=True, nogil=True)
def _longest(edges: Any) -> int:
    """The most rows that a group has; 0 where there is no group."""
    longest = 0
    for g in range(len(edges) - 1):
        longest = max(longest, edges[g + 1] - edges[g])
    return longest


@numba.njit(cache=True, nogil=True)
def _most_overlapped(corners: Any, n: int, xyxy: Any, iou_max: float) -> tuple[int, float]:
    """The first of n boxes whose IoU with `xyxy` is the highest, and that IoU; -1 if none is above `iou_max`.

    corners (5, >= n) float64: x1, y1, x2, y2 and area; xyxy (4,).
    """
    x1, y1, x2, y2 = (
        np.float64(xyxy[0]),
        np.float64(xyxy[1]),
        np.float64(xyxy[2]),
        np.float64(xyxy[3]),
    )
    area = (x2 - x1) * (y2 - y1)
    left, top, right, bottom, areas = corners
    at, best = -1, iou_max
    for box in range(n):
        width = (x2 if x2 < right[box] else right[box]) - (x1 if x1 > left[box] else left[box])
        height = (y2 if y2 < bottom[box] else bottom[box]) - (y1 if y1 > top[box] else top[box])
        shared = (width if width > 0 else 0.0) * (height if height > 0 else 0.0)
        union = areas[box] + area - shared
        if shared > 0.9999 * best * union:  # few pass, and only those cost a division
            iou = shared / union
            if iou > best:
                at, best = box, iou
    return at, best
