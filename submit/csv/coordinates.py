"""Boxes as a competition counts: corners or sizes; edges, pixels or normalized coordinates.

A table has continuous edges. A competition may number pixels instead, from 0 or from 1, and then
the last pixel belongs to the box, so that a box always has at least one. The same box over the ten
leftmost pixels of a photo 100 wide:

    unit            xmin  xmax  width
    pixels             0    10     10      the edges, as in a table
    pixels-from-0      0     9     10      first and last pixel; a width counts both, so it is
    pixels-from-1      1    10     10      one more than the difference
    shares             0   0.1    0.1      normalized: edges divided by the photo's sides

Rounding to the decimals of the file may bring both edges of a thin box together. It must not
vanish, nor leave the photo, so its lower edge is rounded down and the upper one is one step above
it.
"""

import numpy as np

from evaluate.tables import Array
from submit.csv.profile import Profile

FIRST_PIXEL = {"pixels-from-0": 0, "pixels-from-1": 1}


def to_written(xyxy: Array, profile: Profile, size: Array | None = None) -> Array:
    """A table's xyxy (N, 4) -> the numbers of `profile.box` (N, 4) float64, rounded as written.

    size: (N, 2) width and height of each box's photo, for normalized coordinates. A box too thin
    for the decimals becomes one pixel, or one step of the last decimal.
    """
    edges = xyxy.astype(np.float64) / _unit_in_pixels(profile, size)
    first = FIRST_PIXEL.get(profile.unit)
    scale = 10.0**profile.decimals
    step = 1 / scale

    # the least that the second number must be above the first
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
    """The inverse of `to_written`, but for its rounding -> xyxy (N, 4) float64."""
    first = FIRST_PIXEL.get(profile.unit)
    low, high = written[:, :2], written[:, 2:]
    if profile.box[2] == "width":
        side = high - (first is not None)
        low = low - side / 2 if profile.box[0] == "xcenter" else low
        high = low + side
    if first is not None:
        low, high = low - first, high - (first - 1)
    xyxy: Array = np.hstack([low, high]) * _unit_in_pixels(profile, size)
    return xyxy


def _unit_in_pixels(profile: Profile, size: Array | None) -> Array | float:
    """How many pixels 1 is: (N, 4) of normalized coordinates, else 1."""
    if not profile.normalized:
        return 1.0
    assert size is not None, "normalized coordinates need the photos' sizes"
    return np.tile(size.astype(np.float64), 2)
