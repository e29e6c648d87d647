"""How far a score, or the difference of two, may move with other photos: the bootstrap over images."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluate.loops import loop
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

    A class without truth in a replicate is left out of its mean. Where classes have few truths, replicates score a
    little higher than the set itself, and the interval lies higher with them.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. Raises what `voc_map` raises.
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

    Both are scored on the same drawn images in every replicate, so what makes images hard for both cancels, and the
    interval is narrower than those of the two scores suggest. Raises what `voc_map` raises.
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

    A replicate is not scored anew. A match never crosses images and the ranking of the images' detections is the same
    in every replicate, so drawing an image w times gives its detections and truths the weight w. Where scores are
    equal across images, their order in a replicate is that of the whole set.
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
            ranks = np.flatnonzero(hits[mine])
            found = loop(_weighted_ap, len(mine))(
                draws, image[mine], ranks, positives, eleven_point
            )
            ap[c] = np.where(positives > 0, found, np.nan)
        start = stop
    return ap


def _weighted_ap(draws: Any, image: Any, ranks: Any, positives: Any, eleven_point: bool) -> Any:
    """`average_precision` of one ranking in every replicate. -> (R,).

    image (n,) of the ranking; ranks (h,): which of them are hits, rising; positives (R,): truths drawn.
    """
    seen, found = np.zeros(len(positives), np.int64), np.zeros(len(positives), np.int64)
    precision = np.empty((len(ranks), len(positives)))
    start = 0
    for h in range(len(ranks)):
        for i in range(start, ranks[h] + 1):
            seen += draws[image[i]]
        start = ranks[h] + 1
        found += draws[image[ranks[h]]]
        precision[h] = found / np.maximum(seen, 1)
    best, total = np.zeros(len(positives)), np.zeros(len(positives))
    some = np.maximum(positives, 1)
    for h in range(len(ranks) - 1, -1, -1):
        best = np.maximum(best, precision[h])
        gain = draws[image[ranks[h]]]
        before = found - gain
        if eleven_point:  # of the recalls 0, 0.1 ... 1 those that this hit reaches first
            total += best * (
                10 * found // some - 10 * before // some + ((before == 0) & (found > 0))
            )
        else:
            total += best * gain
        found = before
    return total / 11 if eleven_point else total / some
