"""Mean average precision as PASCAL VOC counts it."""

from dataclasses import dataclass

import numpy as np

from evaluate.matching import Matches, match
from evaluate.tables import Array, Detections, GroundTruth, InputError


@dataclass(frozen=True, eq=False)
class Score:
    """Average precision of C classes."""

    classes: tuple[str, ...]
    ap: Array  # (C,) float64 in [0, 1], NaN where the class has no truth that counts
    positives: Array  # (C,) int, truths that count: those not difficult
    detections: Array  # (C,) int

    @property
    def mean(self) -> float:
        """mAP over the classes that have truth."""
        return float(np.nanmean(self.ap))

    @property
    def per_class(self) -> dict[str, float | None]:
        """AP by class name, None where the class has no truth that counts."""
        return {name: None if np.isnan(ap) else float(ap) for name, ap in zip(self.classes, self.ap, strict=True)}


@dataclass(frozen=True, eq=False)
class Curve:
    """One class's ranking: what is reached by the best n detections, for each n. Neutral ones are left out."""

    score: Array  # (n,) float32, falling
    recall: Array  # (n,) float64, rising
    precision: Array  # (n,) float64, as counted: no envelope


def voc_map(dets: Detections, truth: GroundTruth, *, iou_min: float = 0.5, eleven_point: bool = False) -> Score:
    """Score a table against its truth.

    By falling score, a detection is judged by the truth of its class that it overlaps most. It is a hit when that
    overlap is at least `iou_min` and no better detection was one for the same truth, nothing at all when that truth
    is `difficult`, and a false alarm otherwise. A class without detections has AP 0, a class without truth has none.

    AP is the area under the envelope of precision over recall (VOC since 2010), or with `eleven_point` the mean over
    recalls 0, 0.1 ... 1 (until 2009). Equal scores rank by image id, then by box: row order never changes a score.

    Source: VOCdevkit, VOCevaldet.m. Differs: the order of equal scores, which the devkit takes from its input files.
    Raises InputError when the tables' images or classes differ, or no class has truth that counts.
    """
    return score(match(dets, truth), iou_min=iou_min, eleven_point=eleven_point)


def score(matches: Matches, *, iou_min: float = 0.5, eleven_point: bool = False) -> Score:
    """`voc_map` of tables that are matched already."""
    ap = np.full(len(matches.classes), np.nan)
    for c, (_, hits) in _rankings(matches, iou_min).items():
        ap[c] = average_precision(hits, matches.positives[c], recall_points=11 if eleven_point else None)
    detections = np.bincount(matches.label, minlength=len(matches.classes))
    return Score(matches.classes, ap, matches.positives, detections)


def precision_recall(dets: Detections, truth: GroundTruth, *, iou_min: float = 0.5) -> dict[str, Curve]:
    """The curve of each class that has truth. Judges and raises as `voc_map` does."""
    matches = match(dets, truth)
    curves = {}
    for c, (scores, hits) in _rankings(matches, iou_min).items():
        found = np.cumsum(hits)
        precision = found / np.arange(1, len(hits) + 1)
        curves[matches.classes[c]] = Curve(scores, found / matches.positives[c], precision)
    return curves


def average_precision(hits: Array, positives: int, *, recall_points: int | None = None) -> float:
    """AP in [0, 1] of a ranking: `hits` is (n,) bool, best first, out of `positives` truths.

    The area under the envelope, or the mean over so many recalls from 0 to 1.

    Precision at recall r is the best precision at any recall >= r. Recall is compared in whole counts, so 3 hits of
    10 do reach recall 0.3, which they miss in floats (3 * 0.1 > 0.3).
    """
    ranks = np.flatnonzero(hits) + 1
    precision = np.arange(1, len(ranks) + 1) / ranks  # at the first, second ... hit
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    if recall_points is None:
        return float(best_from_here.sum() / positives)
    wanted = np.maximum(-(-np.arange(recall_points) * positives // (recall_points - 1)), 1)  # hits for each recall
    return float(best_from_here[wanted[wanted <= len(ranks)] - 1].sum() / recall_points)


def _rankings(matches: Matches, iou_min: float) -> dict[int, tuple[Array, Array]]:
    """For each class with truth: scores (n,) and hits (n,) bool of its detections that count, best first."""
    if not 0 < iou_min <= 1:
        raise InputError(f"iou_min is {iou_min}, want above 0 and at most 1")
    if not matches.positives.any():
        raise InputError("the truth has no box that counts (none, or all difficult): there is nothing to score against")
    counts = ~matches.neutral(iou_min)
    label, scores, hits = (column[counts] for column in (matches.label, matches.score, matches.hits(iou_min)))
    edges = np.searchsorted(label, np.arange(len(matches.classes) + 1))
    spans = {int(c): slice(edges[c], edges[c + 1]) for c in np.flatnonzero(matches.positives)}
    return {c: (scores[span], hits[span]) for c, span in spans.items()}
