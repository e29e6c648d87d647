"""What one walk down a class's ranking gives at T NMS limits at once. Imports numba: import this module late.

A ranking is the candidates of one class, best first, as columns: `alive` (n,) uint64, bit t of which says that the
candidate survives NMS at limit t; `image` (n,) int; `target` (n,) int, the truth it overlaps enough, or below 0 none.
"""

from typing import Any

import numba
import numpy as np


@numba.njit(cache=True)
def hits(alive: Any, target: Any, truths: int) -> Any:
    """At which limits each candidate hits its truth, because no better survivor has it. -> (n,) uint64."""
    taken = np.zeros(truths, np.uint64)
    hit = np.zeros(len(alive), np.uint64)
    for i in range(len(alive)):
        if target[i] >= 0:
            hit[i] = alive[i] & ~taken[target[i]]
            taken[target[i]] |= alive[i]
    return hit


@numba.njit(cache=True)
def count_survivors(alive: Any, image: Any, weights: Any, ends: Any, limits: int) -> Any:
    """How many of the first ends[e] candidates survive at each limit, a candidate counting as its image does.

    ends (E,) int, rising; weights (I, R) int32, R ways of counting the images -> (E, limits, R) int32.

    Most masks are a run of limits up to the highest, so `change` keeps the differences from limit to limit: a
    candidate costs an addition or two of R numbers, however many limits there are.
    """
    change = np.zeros((limits, weights.shape[1]), np.int32)
    count = np.empty((len(ends), limits, weights.shape[1]), np.int32)
    start = 0
    for e in range(len(ends)):
        for i in range(start, ends[e]):
            weight = weights[image[i]]
            flips = alive[i] ^ alive[i] << np.uint64(1)  # where a run of limits starts or stops
            runs_on = False
            for t in range(limits):
                if flips & np.uint64(1):
                    runs_on = not runs_on
                    if runs_on:
                        change[t] += weight
                    else:
                        change[t] -= weight
                flips >>= np.uint64(1)
                if not flips:
                    break
        start = max(start, ends[e])
        count[e, 0] = change[0]
        for t in range(1, limits):
            count[e, t] = count[e, t - 1] + change[t]
    return count
