"""Where one shot of a video ends and the next begins."""

import numpy as np

from evaluate.tables import Array
from harness.video.yuv import Planes, split

LEVELS = 8  # of each of red, green and blue
SHARED_MIN = 0.65  # share of its colours that a picture has from the one before, or there was a cut
CORNERS = np.array(list(np.ndindex(2, 2, 2)))


class Shots:
    """Numbers the shots of a video, from 0."""

    def __init__(self) -> None:
        self._shot = 0
        self._before: Array | None = None

    def number(self, planes: Planes) -> int:
        """The shot that the next picture belongs to."""
        there = _colours(planes)
        if self._before is not None and np.minimum(there, self._before).sum() < SHARED_MIN:
            self._shot += 1
        self._before = there
        return self._shot


def _colours(planes: Planes) -> Array:
    """How much of each colour (LEVELS^3,), in all 1, from some 700 pixels; those between two levels count for both.

    So that a flicker of the light moves little. Tints count double, for they rarely go far.
    """
    light, *tints = split(planes)
    down, across = (1 + side // 24 for side in tints[0].shape)
    seen = np.stack(
        [light[:: 2 * down, :: 2 * across], *(tint[::down, ::across] for tint in tints)], -1
    )
    stretched = (seen.reshape(-1, 3) - (0.0, 128, 128)) * (1, 2, 2) + (0, 128, 128)
    levels = stretched.clip(0, 255) * ((LEVELS - 1) / 255)
    low = levels.astype(int).clip(0, LEVELS - 2)
    above = levels - low
    colours = np.zeros(LEVELS**3)
    for corner in CORNERS:
        share = np.where(corner, above, 1 - above).prod(1)
        colours += np.bincount((low + corner) @ (LEVELS**2, LEVELS, 1), share, LEVELS**3)
    return colours / len(levels)
