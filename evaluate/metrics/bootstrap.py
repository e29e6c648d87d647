"""How far a score, or the difference of two, may move with other photos: the bootstrap over images.

A test set of I photos is one of many that might have been taken. The bootstrap makes others of it:
it draws I of its photos with replacement, so that some count twice or more and about a third not at
all, scores that resample, does so R times, and reads the interval off the R scores.

No resample is matched or sorted anew. Matching never crosses images, and the ranking of all the
images' detections has those of a resample in the right order. So to draw an image w times is to
give its detections and its truths the weight w, and the R resamples are R columns of weights (I,
R):

1. Match and rank the whole set once.
2. Per class, sum the weights down to each hit: its rank in each resample.
3. AP from these ranks in R columns at once (average_precision.py).
4. mAP of each resample over the classes of which it has truth.

An example with two images a and b, each with one truth, and the ranking b: hit, a: miss, a: hit.

    weights a, b   ranks of the hits   AP
    1, 1           1, 3                (1/1 * 1 + 2/3 * 1) / 2
    2, 0           0, 4                2/4 * 2 / 2                b's hit has weight 0
    0, 2           2, 2                2/2 * 2 / 2                b drawn twice: ranks 1 and 2

Where scores are equal across images, they rank in every resample as in the whole set.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluate.loops import loop
from evaluate.metrics.average_precision import weighted_average_precision
from evaluate.metrics.matching import Matches, image_by_id, match
from evaluate.metrics.voc import Score, score_matches
from evaluate.tables import Array, Detections, GroundTruth


@dataclass(frozen=True)
class Difference:
    """Of two scores over the same images, the second less the first."""

    before: float
    after: float
    low: float  # of the interval around `value`
    high: float

    @property
    def value(self) -> float:
        return self.after - self.before

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def score_with_interval(
    dets: Detections,
    truth: GroundTruth,
    *,
    iou_min: float = 0.5,
    eleven_point: bool = False,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Score, tuple[float, float]]:
    """`voc_map`, and the interval that holds the middle `level` of the resamples' mAP.

    A class without truth in a replicate is left out of its mean. Where classes have few truths,
    replicates score a little higher than the set itself, and the interval lies higher with them.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. Raises what
    `voc_map` raises.
    """
    matches = match(dets, truth)
    whole = score_matches(matches, iou_min=iou_min, eleven_point=eleven_point)
    resamples = resample_counts(len(truth.image_ids), replicates, seed)
    ap = _replicates(matches, truth, resamples, iou_min, eleven_point)
    return whole, percentile_interval(_mean(ap), level)


def difference_with_interval(
    before: Detections,
    after: Detections,
    truth: GroundTruth,
    *,
    iou_min: float = 0.5,
    eleven_point: bool = False,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Difference, dict[str, Difference | None]]:
    """How much more `after` scores than `before`, in VOC mAP and in AP by class.

    The second is None for a class without truth. Both tables are scored on the same resample in
    every replicate, so what makes images hard for both cancels, and the interval is narrower than
    those of the two scores suggest. Raises what `voc_map` raises.
    """
    matches = [match(dets, truth) for dets in (before, after)]
    scores = [score_matches(one, iou_min=iou_min, eleven_point=eleven_point) for one in matches]
    resamples = resample_counts(len(truth.image_ids), replicates, seed)
    aps = [_replicates(one, truth, resamples, iou_min, eleven_point) for one in matches]
    interval = percentile_interval(_mean(aps[1]) - _mean(aps[0]), level)
    total = Difference(scores[0].map, scores[1].map, *interval)
    per_class: dict[str, Difference | None] = {}
    for c, name in enumerate(truth.classes):
        moved = aps[1][c] - aps[0][c]
        moved = moved[~np.isnan(moved)]
        per_class[name] = None
        if len(moved):
            ap = float(scores[0].ap[c]), float(scores[1].ap[c])
            per_class[name] = Difference(*ap, *percentile_interval(moved, level))
    return total, per_class


def _mean(ap: Array) -> Array:
    """Step 4: (C, R), NaN without truth -> mAP (R',) of the replicates that have any truth.

    Sums round, so they are taken in an order that does not depend on that of the classes.
    """
    ap = np.sort(ap[:, ~np.isnan(ap).all(0)], axis=0)
    mean: Array = np.nanmean(ap, 0)
    return mean


def percentile_interval(values: Array, level: float) -> tuple[float, float]:
    """Where the middle `level` of the values begins and ends."""
    low, high = np.percentile(values, [50 - 50 * level, 50 + 50 * level])
    return float(low), float(high)


def resample_counts(images: int, replicates: int, seed: int) -> Array:
    """How often each image, in order of ids, is in each resample. -> (I, R), smallest int type."""
    counts = np.random.default_rng(seed).multinomial(
        images, np.full(images, 1 / max(images, 1)), replicates
    )
    return np.ascontiguousarray(counts.T, np.min_scalar_type(counts.max(initial=0)))


def _replicates(
    matches: Matches, truth: GroundTruth, resamples: Array, iou_min: float, eleven_point: bool
) -> Array:
    """AP of every class in every replicate: (C, R) float64, NaN where that has no truth of it."""
    image = image_by_id(matches.table)[matches.row]
    counts, hits = ~matches.neutral(iou_min), matches.hits(iou_min)
    truth_image = image_by_id(truth)
    ap = np.full((len(truth.classes), resamples.shape[1]), np.nan)
    start = 0
    for c, stop in enumerate(matches.stops):
        of_class = np.flatnonzero(counts[start:stop]) + start
        truths = truth_image[(truth.label == c) & ~truth.difficult]
        if len(truths):
            positives = resamples[truths].sum(0, dtype=np.int64)  # (R,)
            hit = np.flatnonzero(hits[of_class])  # (h,)
            hit_weights = resamples[image[of_class[hit]]]  # (h, R)
            ranks = loop(_weighted_ranks, len(of_class))(resamples, image[of_class], hit)
            replicates = loop(weighted_average_precision, len(of_class))(
                ranks, hit_weights, np.array([len(hit)]), positives, eleven_point
            )
            ap[c] = np.where(positives > 0, replicates[0], np.nan)
        start = stop
    return ap


def _weighted_ranks(resamples: Any, image: Any, hits: Any) -> Any:
    """Step 2: the weights of a ranking summed down to each of its hits. -> (h, R) int32.

    image (n,) of the ranking; hits (h,): which of the n they are, rising.
    """
    ranks = np.empty((len(hits), resamples.shape[1]), np.int32)
    seen = np.zeros(resamples.shape[1], np.int32)
    start = 0
    for h in range(len(hits)):
        for i in range(start, hits[h] + 1):
            seen += resamples[image[i]]
        start = hits[h] + 1
        ranks[h] = seen
    return ranks
