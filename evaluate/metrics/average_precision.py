"""Average precision of one class's ranking, from the ranks of its hits: the one definition.

Let a ranking of detections, best first, hit some of P truths. Down to its k-th hit, at rank r, it
has precision k / r and recall k / P; between two hits recall stands still and precision falls, so
nothing but the ranks of the hits is needed.

1. Take the precision at each hit.
2. Raise it to the best precision at this hit or a later one: the envelope, which only falls.
3. Sum over the hits and divide by P: each hit is a step of 1 / P in recall, so this is the area
   under the envelope. Or, until VOC 2009, take the mean of the envelope at the recalls 0, 0.1 ...
   1.

An example: P = 3 truths and the ranking hit, miss, hit, hit, miss. The hits stand at ranks 1, 3, 4.

    precision at the hits     1/1   2/3   3/4
    envelope                  1     3/4   3/4        AP = (1 + 3/4 + 3/4) / 3 = 5/6

With weights an image counts w times, and its detections and truths with it. The rank of a hit
becomes the sum of the weights down to it, a hit is a step of w in recall, and P is a sum of
weights. That is how a bootstrap scores its resamples: the order of a ranking stays and only the
counting changes.
"""

from typing import Any

import numpy as np

from evaluate.tables import Array


def average_precision(
    hit_ranks: Array, positives: int, *, recall_points: int | None = None
) -> float:
    """AP in [0, 1] of a ranking whose hits are at `hit_ranks` (h,), from 1, rising, of `positives`.

    The area under the envelope of precision over recall, or the envelope's mean over so many
    recalls from 0 to 1. Recall is compared in whole counts, so 3 hits of 10 do reach recall 0.3,
    which they miss in floats (3 * 0.1 > 0.3).
    """
    precision = np.arange(1, len(hit_ranks) + 1) / hit_ranks  # step 1
    envelope = np.maximum.accumulate(precision[::-1])[::-1]  # step 2
    if recall_points is None:
        return float(envelope.sum() / positives)  # step 3
    levels = np.arange(recall_points) * positives  # times 1 / (recall_points - 1)
    hits_wanted = np.maximum(-(-levels // (recall_points - 1)), 1)
    return float(envelope[hits_wanted[hits_wanted <= len(precision)] - 1].sum() / recall_points)


def weighted_average_precision(
    ranks: Any, weights: Any, prefix_ends: Any, positives: Any, eleven_point: bool
) -> Any:
    """AP of a ranking under R weightings of the images, at each prefix. -> (F, R) float64.

    Of the ranking's h hits, best first: ranks (h, R), the weights summed down to each, itself
    included; weights (h, R), its own. prefix_ends (F,), rising: of how many hits each AP is,
    because a confidence threshold leaves a prefix of the ranking. positives (R,): the truths'
    weights summed; where that is 0, so is AP. With `eleven_point` a hit's step is the number of
    the recalls 0, 0.1 ... 1 that it is the first to reach.

    Plain Python over rows of R numbers, to run through `loops.loop`. Rows are written in place,
    because compiled code would spend more time on making new ones than on the arithmetic.
    """
    hits, resamples = weights.shape
    truths = np.maximum(positives, 1)
    precision = np.empty((hits, resamples))
    hits_upto = np.zeros((len(prefix_ends), resamples), np.int64)  # of each prefix
    ranks = np.maximum(ranks, 1)
    count = np.zeros(resamples, np.int64)
    start = 0
    for f in range(len(prefix_ends)):
        for h in range(start, prefix_ends[f]):  # step 1
            np.add(count, weights[h], count)
            np.divide(count, ranks[h], precision[h])
        hits_upto[f] = count
        start = prefix_ends[f]

    ap = np.zeros((len(prefix_ends), resamples))
    step = np.empty(resamples)
    for f in range(len(prefix_ends)):
        if f > 0 and prefix_ends[f] == prefix_ends[f - 1]:  # a lower confidence, but no more hits
            ap[f] = ap[f - 1]
            continue
        best = np.zeros(resamples)
        count[:] = hits_upto[f]
        for h in range(prefix_ends[f] - 1, -1, -1):
            np.fmax(best, precision[h], best)  # step 2
            if eleven_point:
                before = count - weights[h]
                first = (before == 0) & (count > 0)  # reaches recall 0
                ap[f] += best * (10 * count // truths - 10 * before // truths + first)
                count[:] = before
            else:
                np.multiply(best, weights[h], step)
                np.add(ap[f], step, ap[f])  # step 3
    return ap / 11 if eleven_point else ap / truths
