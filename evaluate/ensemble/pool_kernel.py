"""The order in which the rows of a pool are fused: by image, class and falling score.

A comparison sort with six keys would do, but most of its work is needless. Images are sorted
already, classes are few, and equal scores are rare. So each image goes through three steps:

1. sort its rows by falling score, equal scores as they come
2. deal them out to their classes, in this order (a counting sort, which keeps the order)
3. put equal scores in order by model, then by box (an insertion sort: hardly a row moves)

Four rows of one image:

    after step 1   cat 0.9    dog 0.8    cat 0.8 of model 1    cat 0.8 of model 0
    after step 2   cat 0.9    cat 0.8 of model 1    cat 0.8 of model 0    dog 0.8
    after step 3   cat 0.9    cat 0.8 of model 0    cat 0.8 of model 1    dog 0.8
"""

from typing import Any

import numba
import numpy as np


def threads() -> int:
    """How many threads to work on: one per core, or what NUMBA_NUM_THREADS says."""
    count: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    return count


@numba.njit(cache=True, nogil=True)
def group_edges(group: Any) -> Any:
    """Where the numbers of a sorted (N,) change -> (G + 1,) int64, from 0 to N."""
    edges = np.empty(len(group) + 1, np.int64)
    groups = 0
    for i in range(len(group)):
        if i == 0 or group[i] != group[i - 1]:
            edges[groups] = i
            groups += 1
    edges[groups] = len(group)
    return edges[: groups + 1]


@numba.njit(cache=True, nogil=True)
def rank_images(
    order: Any, edges: Any, classes: int, label: Any, score: Any, model: Any, xyxy: Any
) -> None:
    """Sort the rows of each image by class, falling score, model and box.

    Works in place on `order` (N,), the rows by image; those of image i are edges[i] : edges[i + 1].
    """
    place = np.empty(classes + 1, np.int64)  # where the next row of each class goes
    for image in range(len(edges) - 1):
        # 1. by falling score
        rows = order[edges[image] : edges[image + 1]].copy()
        rows = rows[np.argsort(-score[rows], kind="mergesort")]

        # 2. by class: count the rows of each, add up to where each class starts, deal them out
        place[:] = 0
        for row in rows:
            place[label[row] + 1] += 1
        place[0] = edges[image]
        for c in range(classes):
            place[c + 1] += place[c]
        for row in rows:
            order[place[label[row]]] = row
            place[label[row]] += 1

        # 3. equal scores of a class by model and box
        for i in range(edges[image] + 1, edges[image + 1]):
            row, j = order[i], i
            while (
                j > edges[image]
                and label[order[j - 1]] == label[row]
                and score[order[j - 1]] == score[row]
            ):
                if not _comes_before(row, order[j - 1], model, xyxy):
                    break
                order[j] = order[j - 1]
                j -= 1
            order[j] = row


@numba.njit(cache=True, nogil=True)
def _comes_before(a: int, b: int, model: Any, xyxy: Any) -> bool:
    """Whether row a comes before row b of the same score: by model, then by box."""
    if model[a] != model[b]:
        return bool(model[a] < model[b])
    for side in range(4):
        if xyxy[a, side] != xyxy[b, side]:
            return bool(xyxy[a, side] < xyxy[b, side])
    return False
