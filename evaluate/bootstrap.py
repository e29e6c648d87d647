"""How far a score, or the difference of two, may move with other photos: the bootstrap over images."""

from dataclasses import dataclass

import numpy as np

from evaluate.matching import match
from evaluate.tables import Array, Detections, GroundTruth, align
from evaluate.voc_map import Score, score


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


def interval(
    dets: Detections,
    truth: GroundTruth,
    *,
    iou_min: float = 0.5,
    eleven_point: bool = False,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """The middle `level` of VOC mAP over test sets drawn from this one's images with replacement.

    A class without truth in a replicate is left out of its mean. Where classes have few truths, replicates score a
    little higher than the set itself, and the interval lies higher with them.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. Raises what `voc_map` raises.
    """
    _, ap = _replicates(dets, truth, iou_min, eleven_point, replicates, seed)
    return _middle(_mean(ap), level)


def compare(
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
    scores, aps = zip(
        *(_replicates(dets, truth, iou_min, eleven_point, replicates, seed) for dets in (before, after)), strict=True
    )
    mean = Difference(scores[0].mean, scores[1].mean, *_middle(_mean(aps[1]) - _mean(aps[0]), level))
    classes: dict[str, Difference | None] = {}
    for c, name in enumerate(truth.classes):
        moved = aps[1][c] - aps[0][c]
        moved = moved[~np.isnan(moved)]
        ends = float(scores[0].ap[c]), float(scores[1].ap[c])
        classes[name] = Difference(*ends, *_middle(moved, level)) if len(moved) else None
    return mean, classes


def _mean(ap: Array) -> Array:
    """(C, R) with NaN where a replicate has no truth of a class -> mAP (R',) of the replicates that have any truth."""
    mean: Array = np.nanmean(ap[:, ~np.isnan(ap).all(0)], 0)
    return mean


def _middle(values: Array, level: float) -> tuple[float, float]:
    low, high = np.percentile(values, [50 - 50 * level, 50 + 50 * level])
    return float(low), float(high)


def _replicates(
    dets: Detections, truth: GroundTruth, iou_min: float, eleven_point: bool, replicates: int, seed: int
) -> tuple[Score, Array]:
    """The score, and the AP of every class in every replicate: (C, R) float64, NaN where it drew no truth of a class.

    A replicate is not scored anew. A match never crosses images and the ranking of the images' detections is the same
    in every replicate, so drawing an image w times gives its detections and truths the weight w. Where scores are
    equal across images, their order in a replicate is that of the whole set.
    """
    matches = match(dets, truth)
    whole = score(matches, iou_min=iou_min, eleven_point=eleven_point)  # refuses what cannot be scored
    image = align(dets, truth).image[matches.row]
    images = len(truth.image_ids)
    drawn = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), replicates)  # (R, I)
    drawn = drawn.astype(np.float32)  # for the matrix product; counts stay exact up to 2^24
    counts = ~matches.neutral(iou_min)
    ap = np.full((len(truth.classes), replicates), np.nan)
    for c in np.flatnonzero(matches.positives):
        mine = counts & (matches.label == c)
        of_class = truth.image[(truth.label == c) & ~truth.difficult]
        positives = drawn @ np.bincount(of_class, minlength=images).astype(np.float32)  # (R,)
        some = positives > 0
        curve = _weighted_ap(drawn, image[mine], matches.hits(iou_min)[mine], positives, eleven_point)
        ap[c, some] = curve[some]
    return whole, ap


def _weighted_ap(drawn: Array, image: Array, hits: Array, positives: Array, eleven_point: bool) -> Array:
    """`average_precision` of one ranking in every replicate. -> (R,).

    drawn (R, I): weights of the images; image, hits (n,): of the ranking; positives (R,): weights of the truths.
    """
    ranks = np.flatnonzero(hits)
    if not len(ranks):
        return np.zeros(len(drawn))
    h, images = len(ranks), drawn.shape[1]
    upto = image[: ranks[-1] + 1]
    since = np.searchsorted(ranks, np.arange(len(upto)))  # the hit that each detection comes before, or is
    per_image = np.bincount(upto * np.int64(h) + since, minlength=images * h).reshape(images, h)
    seen = np.cumsum(drawn @ per_image.astype(np.float32), axis=1, dtype=np.float64)  # (R, H) detections at each hit
    weight = drawn[:, image[ranks]]  # (R, H)
    found = np.cumsum(weight, axis=1, dtype=np.float64)
    precision = found / np.maximum(seen, 1)
    best_from_here = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    at_least_one = np.maximum(positives, 1)
    if not eleven_point:
        area: Array = (best_from_here * weight).sum(1) / at_least_one
        return area
    total = np.zeros(len(drawn))
    for tenth in range(11):
        reached = (10 * found >= tenth * positives[:, None]) & (found > 0)
        first = reached.argmax(1)
        total += np.where(reached.any(1), best_from_here[np.arange(len(drawn)), first], 0.0)
    return total / 11
