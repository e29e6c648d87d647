"""Soft-NMS: a box that overlaps a better one keeps a part of its score. Imports numba."""

from typing import Any

import numba
import numpy as np

from evaluate.ensemble.rule import Decay
from evaluate.tables import Array


def soft_nms(
    xyxy: Array, score: Array, edges: Array, iou_max: float, decay: Decay, sigma: float
) -> Array:
    """The decayed scores (N,) float64 of rows in groups, each group best first. xyxy (N, 4) float32; edges (G + 1,).

    The best row left is taken and the scores of the rest are multiplied: linear, by 1 - IoU where the IoU with it is
    above `iou_max`; gaussian, by exp(-IoU^2 / sigma) for any. Of equal scores the first row is taken.

    Source: Bodla et al., https://arxiv.org/abs/1704.04503. Differs from ensemble-boxes 1.0.9, which takes rows in this
    order and returns the scores they had before.
    """
    decayed = score.copy()
    spread = sigma if decay == "gaussian" else 0.0
    _soften(edges, iou_max, spread, xyxy, decayed)
    return decayed


@numba.njit(cache=True, nogil=True)
def _soften(edges: Any, iou_max: float, spread: float, xyxy: Any, score: Any) -> None:
    """Decay the scores in place; linear where `spread` is 0."""
    for g in range(len(edges) - 1):
        rows = np.arange(edges[g], edges[g + 1])  # those that are left are the first n
        corners = np.empty((5, len(rows)))  # x1, y1, x2, y2 and area
        corners[:4] = xyxy[edges[g] : edges[g + 1]].T
        corners[4] = (corners[2] - corners[0]) * (corners[3] - corners[1])
        at, n = 0, len(rows)
        while n:
            best, upto = rows[at], n
            x1, y1, x2, y2, area = corners[:, at].copy()
            at, n = 0, 0
            for k in range(upto):  # decay the others, close the gap and find the next best
                row = rows[k]
                if row == best:
                    continue
                width = min(x2, corners[2, k]) - max(x1, corners[0, k])
                height = min(y2, corners[3, k]) - max(y1, corners[1, k])
                if width > 0 and height > 0:
                    iou = width * height / (area + corners[4, k] - width * height)
                    if spread > 0:
                        score[row] *= np.exp(-iou * iou / spread)
                    elif iou > iou_max:
                        score[row] *= 1 - iou
                rows[n] = row
                for side in range(5):
                    corners[side, n] = corners[side, k]
                if score[row] > score[rows[at]]:
                    at = n
                n += 1
