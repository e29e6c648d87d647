"""How far a score, or the difference of two, may move with other photos: the bootstrap over images."""

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
    """`voc_map`, and the middle `level` of its mean over test sets drawn from this one's images with replacement.

    A class without truth in a replicate is left out of its mean. Where classes have few truths,
    replicates score a little higher than the set itself, and the interval lies higher with them.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. Raises what
    `voc_map` raises.
    """
    matches = match(dets, truth)
    whole = score_matches(matches, iou_min=iou_min, eleven_point=eleven_point)
    ap = _replicates(
        matches,
        truth,
        resample_counts(len(truth.image_ids), replicates, seed),
        iou_min,
        eleven_point,
    )
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
    """What `after` scores more than `before`: in VOC mAP, and in AP by class, None for a class without truth.

    Both are scored on the same drawn images in every replicate, so what makes images hard for both
    cancels, and the interval is narrower than those of the two scores suggest. Raises what
    `voc_map` raises.
    """
    matches = [match(dets, truth) for dets in (before, after)]
    scores = [score_matches(found, iou_min=iou_min, eleven_point=eleven_point) for found in matches]
    drawn = resample_counts(len(truth.image_ids), replicates, seed)
    aps = [_replicates(found, truth, drawn, iou_min, eleven_point) for found in matches]
    mean = Difference(
        scores[0].map, scores[1].map, *percentile_interval(_mean(aps[1]) - _mean(aps[0]), level)
    )
    classes: dict[str, Difference | None] = {}
    for c, name in enumerate(truth.classes):
        moved = aps[1][c] - aps[0][c]
        moved = moved[~np.isnan(moved)]
        ends = float(scores[0].ap[c]), float(scores[1].ap[c])
        classes[name] = (
            Difference(*ends, *percentile_interval(moved, level)) if len(moved) else None
        )
    return mean, classes


def _mean(ap: Array) -> Array:
    """(C, R) with NaN where a replicate has no truth of a class -> mAP (R',) of the replicates that have any truth."""
    some = np.sort(
        ap[:, ~np.isnan(ap).all(0)], axis=0
    )  # sums round: they must not depend on the order of classes
    mean: Array = np.nanmean(some, 0)
    return mean


def percentile_interval(values: Array, level: float) -> tuple[float, float]:
    """Where the middle `level` of the values begins and ends."""
    low, high = np.percentile(values, [50 - 50 * level, 50 + 50 * level])
    return float(low), float(high)


def resample_counts(images: int, replicates: int, seed: int) -> Array:
    """How often each image, in order of ids, is drawn in each of R replicates. -> (I, R) of the least integer type."""
    drawn = np.random.default_rng(seed).multinomial(
        images, np.full(images, 1 / max(images, 1)), replicates
    )
    return np.ascontiguousarray(drawn.T, np.min_scalar_type(drawn.max(initial=0)))


def _replicates(
    matches: Matches, truth: GroundTruth, draws: Array, iou_min: float, eleven_point: bool
) -> Array:
    """The AP of every class in every replicate: (C, R) float64, NaN where it drew no truth of a class.

    A replicate is not scored anew. A match never crosses images and the ranking of the images'
    detections is the same in every replicate, so drawing an image w times gives its detections and
    truths the weight w. Where scores are equal across images, their order in a replicate is that
    of the whole set.
    """
    image = image_by_id(matches.table)[matches.row]
    counts, hits = ~matches.neutral(iou_min), matches.hits(iou_min)
    truth_image = image_by_id(truth)
    ap = np.full((len(truth.classes), draws.shape[1]), np.nan)
    start = 0
    for c, stop in enumerate(matches.stops):
        mine = np.flatnonzero(counts[start:stop]) + start
        of_class = truth_image[(truth.label == c) & ~truth.difficult]
        if len(of_class):
            positives = draws[of_class].sum(0, dtype=np.int64)  # (R,)
            hit = np.flatnonzero(hits[mine])
            ranks = loop(_weighted_ranks, len(mine))(draws, image[mine], hit)
            found = loop(weighted_average_precision, len(mine))(
                ranks, draws[image[mine[hit]]], np.array([len(hit)]), positives, eleven_point
            )
            ap[c] = np.where(positives > 0, found[0], np.nan)
        start = stop
    return ap


def _weighted_ranks(resamples: Any, image: Any, hits: Any) -> Any:
    """The weights of a ranking summed down to each of its hits. -> (h, R) int32.

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
