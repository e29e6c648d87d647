"""Box arithmetic on plain numbers, for other kernels.

One definition of what two boxes share, for NMS, COCO's matching, fusion and the diagnosis.
Whatever calls these gets their code in place, so a call costs nothing and a loop around it still
runs on vectors. IoU is `intersection / union`: the caller divides, because most pairs share
nothing and a division is the dearest step. `boxes.iou` and `matching._best` do the same arithmetic
to the bit, the one on arrays, the other in a loop that also runs interpreted.
"""

from typing import Any

import numba


@numba.njit(cache=True)
def area(x1: Any, y1: Any, x2: Any, y2: Any) -> Any:
    """Area of a box."""
    return (x2 - x1) * (y2 - y1)


@numba.njit(cache=True)
def intersection(
    ax1: Any, ay1: Any, ax2: Any, ay2: Any, bx1: Any, by1: Any, bx2: Any, by2: Any
) -> Any:
    """Area that boxes a and b share: 0 where they only touch, or lie apart."""
    width = max(min(ax2, bx2) - max(ax1, bx1), 0.0)
    height = max(min(ay2, by2) - max(ay1, by1), 0.0)
    return width * height


@numba.njit(cache=True)
def union(area_a: Any, area_b: Any, shared: Any) -> Any:
    """Area that boxes a and b cover together, of which they share `shared`."""
    return area_a + area_b - shared
