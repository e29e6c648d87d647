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
        """mAP over the classes that have truth: their exact sum rounded once, so that their order is nothing to it."""
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
    """One class's ranking: what is reached by the best n detections, for each n. Neutral ones are left out."""

    score: Array  # (n,) float32, falling
    recall: Array  # (n,) float64, rising
    precision: Array  # (n,) float64, as counted: no envelope


def voc_map(
    dets: Detections, truth: GroundTruth, *, iou_min: float = 0.5, eleven_point: bool = False
) -> Score:
    """Score a table against its truth.

    By falling score, a detection is judged by the truth of its class that it overlaps most. It is
    a hit when that overlap is at least `iou_min` and no better detection was one for the same
    truth, nothing at all when that truth is `difficult`, and a false alarm otherwise. A class
    without detections has AP 0, a class without truth has none.

    AP is the area under the envelope of precision over recall (VOC since 2010), or with
    `eleven_point` the mean over recalls 0, 0.1 ... 1 (until 2009). Equal scores rank by image id,
    then by box: row order never changes a score.

    Source: VOCdevkit, VOCevaldet.m. Differs: the order of equal scores, which the devkit takes
    from its input files. Raises InputError when the tables' images or classes differ, or no class
    has truth that counts.
    """
    return score_matches(match(dets, truth), iou_min=iou_min, eleven_point=eleven_point)


def score_matches(matches: Matches, *, iou_min: float = 0.5, eleven_point: bool = False) -> Score:
    """`voc_map` of tables that are matched already. A further threshold costs a fiftieth of the first."""
    _refuse(matches, iou_min)
    stops, rank, neutral = matches.stops, matches.hit_ranks(iou_min), matches.neutral_ranks(iou_min)
    ends = np.searchsorted(
        rank, stops
    )  # (C,) how many hits there are of a class and those before it
    left_out = np.searchsorted(neutral, stops)
    hits = np.diff(ends, prepend=0)
    before = np.append(0, stops - left_out)[
        :-1
    ]  # (C,) detections that count of all classes before it
    hit_ranks = rank - np.searchsorted(neutral, rank) + 1 - np.repeat(before, hits)
    ap = np.full(len(matches.classes), np.nan)
    for c, positives in enumerate(matches.positives.tolist()):
        if positives:
            of_class = hit_ranks[ends[c] - hits[c] : ends[c]]
            ap[c] = average_precision(
                of_class, positives, recall_points=11 if eleven_point else None
            )
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
        span = slice(edges[c], edges[c + 1])
        found = np.cumsum(hits[span])
        precision = found / np.arange(1, len(found) + 1)
        curves[matches.classes[c]] = PrecisionRecall(
            scores[span], found / matches.positives[c], precision
        )
    return curves


def _refuse(matches: Matches, iou_min: float) -> None:
    if not 0 < iou_min <= 1:
        raise InputError(f"iou_min is {iou_min}, want above 0 and at most 1")
    require_positives(matches.positives)
