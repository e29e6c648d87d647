"""Precision, recall and F1 at every confidence, and the one to show boxes from.

AP rewards candidates down to the faintest score. A person who looks at boxes wants one confidence
to cut at, and F1 = 2 * hits / (detections + truths), the harmonic mean of precision and recall,
says which is best. It moves only where a detection comes or goes, so trying every distinct score
leaves out none:

1. detections by falling score
2. hits so far, at the last detection of each score: a cut takes all of equal scores or none
3. precision, recall and F1 there; the best F1 is the operating point, of equals the highest conf

Two cats; boxes scored 0.9 (a hit), 0.8 (a false positive) and 0.7 (a hit):

    from 0.9   1 of 1 is a hit, 1 of 2 is found   F1 2 * 1 / (1 + 2) = 0.67
    from 0.8   1 of 2           1 of 2            F1 2 * 1 / (2 + 2) = 0.50
    from 0.7   2 of 3           2 of 2            F1 2 * 2 / (3 + 2) = 0.80   the best
"""

from dataclasses import dataclass

import numpy as np

from evaluate.exceptions import InputError
from evaluate.metrics.matching import Matches
from evaluate.tables import Array


@dataclass(frozen=True)
class OperatingPoint:
    """What the detections scored `conf` or more reach, each in [0, 1]."""

    conf: float
    precision: float  # share of these detections that are hits
    recall: float  # share of the truths that count that they hit
    f1: float  # harmonic mean of the two


@dataclass(frozen=True, eq=False)
class ConfidenceCurve:
    """What is reached from each of the n distinct scores up."""

    conf: Array  # (n,) float32, falling
    precision: Array  # (n,) float64
    recall: Array  # (n,) float64
    f1: Array  # (n,) float64

    @property
    def best(self) -> OperatingPoint | None:
        """Where F1 is highest, of equals the highest conf; None where no detection counts."""
        if not len(self.conf):
            return None
        best = int(np.argmax(self.f1))
        columns = (self.conf, self.precision, self.recall, self.f1)
        return OperatingPoint(*(float(column[best]) for column in columns))


def curve_over_all(matches: Matches, *, iou_min: float = 0.5) -> ConfidenceCurve:
    """The curve of all classes together, each detection and each truth with the same weight.

    Neutral detections are left out; those of a class without truth are false positives. Raises
    InputError when no truth counts.
    """
    if not matches.positives.any():
        raise InputError(
            "the truth has no box that counts (none, or all difficult): there is nothing to find"
        )
    counts = ~matches.neutral(iou_min)
    score, hits = matches.score[counts], matches.hits(iou_min)[counts]
    return _curve(score, hits, int(matches.positives.sum()))


def curves_by_class(matches: Matches, *, iou_min: float = 0.5) -> dict[str, ConfidenceCurve]:
    """The curve of each class that has truth. Neutral detections are left out."""
    counts = ~matches.neutral(iou_min)
    label, score, hits = matches.label[counts], matches.score[counts], matches.hits(iou_min)[counts]
    curves = {}
    for c in np.flatnonzero(matches.positives):
        of_class = label == c
        curves[matches.classes[c]] = _curve(
            score[of_class], hits[of_class], int(matches.positives[c])
        )
    return curves


def _curve(score: Array, hits: Array, truths: int) -> ConfidenceCurve:
    """Scores (N,) and hits (N,) bool in any order, out of `truths` -> their curve."""
    # 1. by falling score
    order = np.argsort(-score, kind="stable")
    score, hits_so_far = score[order], np.cumsum(hits[order])

    # 2. the last of each score
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True)[: len(score)])
    shown, hit = last + 1, hits_so_far[last]

    # 3. the rates
    return ConfidenceCurve(score[last], hit / shown, hit / truths, 2 * hit / (shown + truths))
