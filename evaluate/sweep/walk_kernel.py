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


@numba.njit(cache=True, error_model="numpy")
def average_precision(
    hit: Any, seen: Any, weights: Any, prefixes: Any, positives: Any, eleven_point: bool
) -> Any:
    """AP of the ranking cut at each prefix, at each limit, with the images counted in R ways. -> (F, limits, R).

    Of the H candidates that are a hit at some limit: hit (H,) uint64, seen (H, limits, R) candidates down to it,
    weights (H, R) of its image. prefixes (F,): how many of the H a confidence leaves. positives (R,): truths.
    """
    rows, limits, ways = seen.shape
    ap = np.zeros((len(prefixes), limits, ways))
    precision = np.empty((rows, ways))
    gain = np.empty((rows, ways))  # of recall, in truths or in recall levels reached
    before = np.empty(rows + 1, np.int64)  # hits at the limit among the first of the H
    for t in range(limits):
        found = np.zeros(ways, np.int64)
        n = 0
        for h in range(rows):
            before[h] = n
            if hit[h] >> np.uint64(t) & np.uint64(1):
                for r in range(ways):
                    level = _level(found[r], positives[r])
                    found[r] += weights[h, r]
                    precision[n, r] = found[r] / max(seen[h, t, r], 1)
                    gain[n, r] = (
                        _level(found[r], positives[r]) - level if eleven_point else weights[h, r]
                    )
                n += 1
        before[rows] = n
        for f in range(len(prefixes)):
            best = np.zeros(ways)
            for k in range(before[prefixes[f]] - 1, -1, -1):
                for r in range(ways):
                    best[r] = max(best[r], precision[k, r])
                    ap[f, t, r] += gain[k, r] * best[r]
    for r in range(ways):
        ap[:, :, r] /= 11 if eleven_point else max(positives[r], 1)
    return ap


@numba.njit(cache=True, error_model="numpy")
def _level(found: int, positives: int) -> int:
    """How many of the recalls 0, 0.1 ... 1 that many hits reach."""
    return min(10 * found // max(positives, 1), 10) + 1 if found else 0
