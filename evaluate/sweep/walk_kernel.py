"""What one walk down a class's ranking gives at T NMS IoUs at once.

A ranking is the candidates of one class, best first, as columns: `alive` (n,) uint64, bit t of
which says that the candidate survives NMS at IoU t; `image` (n,) int; `target` (n,) int, the truth
that it overlaps enough for a hit, or a number below 0.

`hits` keeps a mask per truth, of the IoUs at which it is taken. `count_survivors` counts at all T
IoUs, and uses that survival seldom changes from one IoU to the next: NMS with a higher `iou_max`
drops less, so a typical mask is a run of ones up to the highest bit. It therefore keeps
differences:

1. A candidate adds its weight to `change[t]` where a run of ones starts at bit t, and takes it off
   where the run has stopped. That is one addition for a typical mask, whatever T is.
2. The count at IoU t is the sum of change[0] ... change[t].

An example with T = 4 and weight 1, the highest bit written first:

    mask    change[0..3]
    1100     0   0  +1   0       one run, from bit 2 on
    0110     0  +1   0  -1       a run of bits 1 and 2; rare: dropped again at a higher IoU
    sum      0  +1  +1  -1   ->  counts 0, 1, 2, 1
"""

from typing import Any

import numba
import numpy as np


@numba.njit(cache=True)
def hits(alive: Any, target: Any, truths: int) -> Any:
    """At which IoUs each candidate hits its truth, as no better survivor has it. -> (n,) uint64."""
    taken = np.zeros(truths, np.uint64)
    hit = np.zeros(len(alive), np.uint64)
    for i in range(len(alive)):
        if target[i] >= 0:
            hit[i] = alive[i] & ~taken[target[i]]
            taken[target[i]] |= alive[i]
    return hit


@numba.njit(cache=True)
def count_survivors(alive: Any, image: Any, weights: Any, prefix_ends: Any, ious: int) -> Any:
    """How many of the first prefix_ends[e] candidates survive at each IoU. -> (E, T, R) int32.

    prefix_ends (E,) int, rising. Each is counted in R ways, by its image: weights (I, R) int32.
    """
    change = np.zeros((ious, weights.shape[1]), np.int32)
    count = np.empty((len(prefix_ends), ious, weights.shape[1]), np.int32)
    start = 0
    for e in range(len(prefix_ends)):
        for i in range(start, prefix_ends[e]):
            weight = weights[image[i]]
            flips = alive[i] ^ alive[i] << np.uint64(1)  # bit t: the run starts, or has stopped
            in_run = False
            for t in range(ious):  # step 1
                if flips & np.uint64(1):
                    in_run = not in_run
                    if in_run:
                        change[t] += weight
                    else:
                        change[t] -= weight
                flips >>= np.uint64(1)
                if not flips:
                    break
        start = max(start, prefix_ends[e])
        count[e, 0] = change[0]
        for t in range(1, ious):  # step 2
            count[e, t] = count[e, t - 1] + change[t]
    return count
