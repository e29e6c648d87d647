"""Box arithmetic on xyxy arrays."""

import numpy as np

from evaluate.tables import Array


def iou(a_xyxy: Array, b_xyxy: Array) -> Array:
    """Intersection over union of every pair. (N, 4), (M, 4) -> (N, M) float64 in [0, 1]."""
    return iou_rowwise(np.asarray(a_xyxy)[:, None], np.asarray(b_xyxy)[None])


def iou_rowwise(a_xyxy: Array, b_xyxy: Array) -> Array:
    """Intersection over union of each box of a with that of b in the same place.

    (..., 4), (..., 4) -> (...) float64 in [0, 1].

    A box without area has IoU 0 with every box, itself included. Float32 corners of integer pixels
    give a correctly rounded ratio: an overlap of exactly one half is 0.5.
    """
    ax1, ay1, ax2, ay2 = np.moveaxis(np.asarray(a_xyxy, np.float64), -1, 0)
    bx1, by1, bx2, by2 = np.moveaxis(np.asarray(b_xyxy, np.float64), -1, 0)
    width = np.minimum(ax2, bx2) - np.maximum(ax1, bx1)
    height = np.minimum(ay2, by2) - np.maximum(ay1, by1)
    shared = width.clip(min=0) * height.clip(min=0)
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared
    ratio: Array = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return ratio


def xyxy_to_cxcywh(xyxy: Array) -> Array:
    """Corners (..., 4) -> centre, width and height (..., 4), float64."""
    xyxy = np.asarray(xyxy, np.float64)
    low, high = xyxy[..., :2], xyxy[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], -1)


def cxcywh_to_xyxy(cxcywh: Array) -> Array:
    """Centre, width and height (..., 4) -> corners (..., 4). A negative side counts as 0."""
    centre, half = cxcywh[..., :2], cxcywh[..., 2:].clip(0) / 2
    return np.concatenate([centre - half, centre + half], -1)


def with_margin(xyxy: Array, margin: float) -> Array:
    """Boxes (N, 4) made larger on each side by `margin` times their width or height."""
    sides = np.tile(xyxy[:, 2:] - xyxy[:, :2], 2) * margin
    return xyxy + sides * (-1, -1, 1, 1)
