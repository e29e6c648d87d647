"""Boxes as a competition counts: corners or sizes, edges or pixels from 0 or from 1, pixels or shares."""

import numpy as np

from evaluate.tables import Array
from submit.csv.profile import Profile

FIRST_PIXEL = {"pixels-from-0": 0, "pixels-from-1": 1}


def to_written(xyxy: Array, profile: Profile, size: Array | None = None) -> Array:
    """xyxy (N, 4), a table's, -> the numbers of `profile.box` (N, 4) float64, rounded as they are written.

    `size` (N, 2) is the width and height of each box's photo, for shares. A box that would be nothing, or inside out
    where the last pixel counts, becomes one pixel, or the smallest share there is.
    """
    edges = xyxy.astype(np.float64) / _per_side(profile, size)
    first = FIRST_PIXEL.get(profile.unit)
    scale = 10.0**profile.decimals
    step = 1 / scale
    low, high, least = edges[:, :2], edges[:, 2:], step
    if first is not None:
        low, high, least = low + first, high + first - 1, 0.0
    if profile.box[0] == "xcenter":
        side = np.maximum(high - low + (first is not None), step)
        return np.round(np.hstack([(low + high) / 2, side]), profile.decimals) + 0
    start, stop = np.round(low, profile.decimals), np.round(high, profile.decimals)
    down = np.floor(np.round(low * scale, 6)) / scale  # up could be out of the photo
    start = np.where(stop - start < least / 2, down, start) + 0  # + 0 turns -0 into 0
    stop = np.maximum(stop, start + least) + 0
    if profile.box[2] == "width":
        return np.hstack([start, stop - start + (first is not None)])
    return np.hstack([start, stop])


def to_xyxy(written: Array, profile: Profile, size: Array | None = None) -> Array:
    """What `to_written` gave, unrounded, -> xyxy (N, 4) float64."""
    first = FIRST_PIXEL.get(profile.unit)
    low, high = written[:, :2], written[:, 2:]
    if profile.box[2] == "width":
        side = high - (first is not None)
        low = low - side / 2 if profile.box[0] == "xcenter" else low
        high = low + side
    if first is not None:
        low, high = low - first, high - (first - 1)
    xyxy: Array = np.hstack([low, high]) * _per_side(profile, size)
    return xyxy


def _per_side(profile: Profile, size: Array | None) -> Array | float:
    """What one is of the unit, in pixels: (N, 4) or 1."""
    if profile.unit != "shares":
        return 1.0
    assert size is not None, "shares need the photos' sizes"
    return np.tile(size.astype(np.float64), 2)
