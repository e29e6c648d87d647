"""Where one shot of a video ends and the next begins.

The idea. Within a shot things move, but the colours of the frame stay much the same; a cut replaces
them all at once. For each frame:

    1. take every n-th pixel, some 700 in all, on a grid that half-resolution chroma allows;
    2. count them in a histogram of LEVELS x LEVELS x LEVELS colours. A pixel between two levels
       counts for both, in proportion (for all 8 corners of its cell), so that a flicker of the
       light does not throw it from one bin to the next;
    3. add up, over all bins, the smaller of this and the previous frame's share: 1 for the same
       colours, 0 for none in common (the histogram intersection). Below SHARED_MIN it is a cut.

Worked example. Levels are 255 / 7 = 36.4 apart, so a luma of 82 is at 2.25: it counts 0.75 for
level 2 and 0.25 for level 3. Brightened by 4 it is at 2.36, and 0.11 of it has moved to another
bin.

Source of step 3: Swain and Ballard, Color indexing, 1991.
"""

import numpy as np

from evaluate.tables import Array
from harness.video.yuv import Planes, split_planes

LEVELS = 8  # of each of luma, Cb and Cr
SHARED_MIN = 0.65  # part of its colours that a frame shares with the one before, or there was a cut
CORNERS = np.array(list(np.ndindex(2, 2, 2)))


class Shots:
    """Numbers the shots of a video, from 0."""

    def __init__(self) -> None:
        self._shot = 0
        self._previous: Array | None = None  # histogram

    def shot_of(self, planes: Planes) -> int:
        """The shot that the next frame belongs to."""
        histogram = _histogram(planes)
        if self._previous is not None:
            shared = np.minimum(histogram, self._previous).sum()
            self._shot += bool(shared < SHARED_MIN)
        self._previous = histogram
        return self._shot


def _histogram(planes: Planes) -> Array:
    """The part that each colour has in a frame, (LEVELS^3,), 1 in all."""
    # 1.
    luma, *chroma = split_planes(planes)
    down, across = (1 + side // 24 for side in chroma[0].shape)
    channels = [luma[:: 2 * down, :: 2 * across], *(plane[::down, ::across] for plane in chroma)]
    pixels = np.stack(channels, -1).reshape(-1, 3)

    # 2. Chroma is stretched to twice its distance from grey, as it rarely goes far.
    stretched = (pixels - (0.0, 128, 128)) * (1, 2, 2) + (0, 128, 128)
    levels = stretched.clip(0, 255) * ((LEVELS - 1) / 255)
    low = levels.astype(int).clip(0, LEVELS - 2)
    above = levels - low  # (P, 3) 0..1 of the way to the next level
    histogram = np.zeros(LEVELS**3)
    for corner in CORNERS:
        weight = np.where(corner, above, 1 - above).prod(1)
        histogram += np.bincount((low + corner) @ (LEVELS**2, LEVELS, 1), weight, LEVELS**3)
    return histogram / len(levels)
