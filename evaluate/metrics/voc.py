"""Mean average precision as PASCAL VOC counts it."""

import math
from dataclasses import dataclass

import numpy as np

from evaluate.exceptions import InputError
from evaluate.metrics.average_precision import average_precision
from evaluate.metrics.matching import Matches, match, require_positives
from evaluate.tables import Array, Detections, GroundTruth


@dataclass(frozen=True, eq=False)
class Score:
    """Average precision of C classes."""

    classes: tuple[str, ...]
    ap: Array  # (C,) float64 in [0, 1], NaN where the class has no truth that counts
    positives: Array  # (C,) int, truths that count: those not difficult
    detections: Array  # (C,) int

    @property
    def map(self) -> float:
        """mAP over the classes that have truth. Summed exactly, so their order cannot change it."""
        ap = self.ap[~np.isnan(self.ap)]
        return math.fsum(ap) / len(ap)

    @property
    def per_class(self) -> dict[str, float | None]:
        """AP by class name, None where the class has no truth that counts."""
        return {
            name: None if np.isnan(ap) else float(ap)
            for name, ap in zip(self.classes, self.ap, strict=True)
        }


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """What the best n detections of one class reach, for each n. Neutral ones are left out."""

    score: Array  # (n,) float32, falling
    recall: Array  # (n,) float64, rising
    precision: Array  # (n,) float64, as counted: no envelope


def voc_map(
    dets: Detections, truth: GroundTruth, *, iou_min: float = 0.5, eleven_point: bool = False
) -> Score:
    """Score a table against its truth.

    By falling score, a detection is judged by the truth of its class that it overlaps most. It is a
    hit when that overlap is at least `iou_min` and no better detection has hit the same truth,
    counts as nothing when that truth is `difficult`, and is a false positive otherwise. A class
    without detections has AP 0, a class without truth has none.

    AP is the area under the envelope of precision over recall (VOC since 2010), or with
    `eleven_point` the envelope's mean over the recalls 0, 0.1 ... 1 (until 2009). Equal scores rank
    by image id, then by box: the order of rows never changes a score.

    Source: VOCdevkit, VOCevaldet.m. Differs: the order of equal scores, which the devkit takes from
    its input files. Raises InputError when the tables' images or classes differ, or no class has
    truth that counts.
    """
    return score_matches(match(dets, truth), iou_min=iou_min, eleven_point=eleven_point)


def score_matches(matches: Matches, *, iou_min: float = 0.5, eleven_point: bool = False) -> Score:
    """`voc_map` of tables that are matched. A further threshold costs a fiftieth of the first.

    1. List the hits and the neutral detections, by class, best first: places in the ranking.
    2. The rank of a hit is its place, less the neutral ones above it, counted from its class's
       start.
    3. AP of each class from the ranks of its hits.
    """
    _refuse(matches, iou_min)
    stops = matches.stops  # (C,) where each class ends
    hits, neutral = matches.hit_ranks(iou_min), matches.neutral_ranks(iou_min)  # step 1

    hits_upto = np.searchsorted(hits, stops)  # (C,) hits of this class and those before it
    counting_upto = stops - np.searchsorted(neutral, stops)  # (C,) likewise detections that count
    hits_of_class = np.diff(hits_upto, prepend=0)
    counting_before = np.append(0, counting_upto)[:-1]
    hit_ranks = hits - np.searchsorted(neutral, hits) + 1  # step 2
    hit_ranks -= np.repeat(counting_before, hits_of_class)

    ap = np.full(len(matches.classes), np.nan)
    for c, positives in enumerate(matches.positives.tolist()):  # step 3
        if positives:
            of_class = hit_ranks[hits_upto[c] - hits_of_class[c] : hits_upto[c]]
            points = 11 if eleven_point else None
            ap[c] = average_precision(of_class, positives, recall_points=points)
    return Score(matches.classes, ap, matches.positives, np.diff(stops, prepend=0))


def precision_recall(
    dets: Detections, truth: GroundTruth, *, iou_min: float = 0.5
) -> dict[str, PrecisionRecall]:
    """The curve of each class that has truth. Judges and raises as `voc_map` does."""
    matches = match(dets, truth)
    _refuse(matches, iou_min)
    counts = ~matches.neutral(iou_min)
    label, scores, hits = (
        column[counts] for column in (matches.label, matches.score, matches.hits(iou_min))
    )
    edges = np.searchsorted(label, np.arange(len(matches.classes) + 1))
    curves = {}
    for c in np.flatnonzero(matches.positives):
        of_class = slice(edges[c], edges[c + 1])
        hits_upto = np.cumsum(hits[of_class])
        precision = hits_upto / np.arange(1, len(hits_upto) + 1)
        recall = hits_upto / matches.positives[c]
        curves[matches.classes[c]] = PrecisionRecall(scores[of_class], recall, precision)
    return curves


def _refuse(matches: Matches, iou_min: float) -> None:
    if not 0 < iou_min <= 1:
        raise InputError(f"iou_min is {iou_min}, want above 0 and at most 1")
    require_positives(matches.positives)
