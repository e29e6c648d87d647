"""Box arithmetic on xyxy arrays."""

import numpy as np

from evaluate.tables import Array


def iou(a_xyxy: Array, b_xyxy: Array) -> Array:
    """Intersection over union of every pair. (N, 4), (M, 4) -> (N, M) float64 in [0, 1]."""
    return iou_rowwise(np.asarray(a_xyxy)[:, None], np.asarray(b_xyxy)[None])


def iou_rowwise(a_xyxy: Array, b_xyxy: Array) -> Array:
    """Intersection over union of a's box with b's in the same place. (..., 4), (..., 4) -> (...) float64 in [0, 1].

    A box without area has IoU 0 with every box, itself included. Float32 corners of integer pixels give a correctly
    rounded ratio: an overlap of exactly one half is 0.5.
    """
    ax1, ay1, ax2, ay2 = np.moveaxis(np.asarray(a_xyxy, np.float64), -1, 0)
    bx1, by1, bx2, by2 = np.moveaxis(np.asarray(b_xyxy, np.float64), -1, 0)
    width = np.minimum(ax2, bx2) - np.maximum(ax1, bx1)
    height = np.minimum(ay2, by2) - np.maximum(ay1, by1)
    shared = width.clip(min=0) * height.clip(min=0)
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared
    ratio: Array = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return ratio
