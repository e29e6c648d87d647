"""Precision, recall and F1 at every confidence, and the one to show boxes from."""

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
    recall: float  # share of the truths that count that they find
    f1: float  # harmonic mean of the two


@dataclass(frozen=True, eq=False)
class ConfidenceCurve:
    """What is reached from each of the n distinct scores up. Nothing in between is left out: F1 moves only there."""

    conf: Array  # (n,) float32, falling
    precision: Array  # (n,) float64
    recall: Array  # (n,) float64
    f1: Array  # (n,) float64

    @property
    def best(self) -> OperatingPoint | None:
        """Where F1 is highest, of equals the highest conf; None where no detection counts."""
        if not len(self.conf):
            return None
        at = int(np.argmax(self.f1))
        return OperatingPoint(
            float(self.conf[at]),
            float(self.precision[at]),
            float(self.recall[at]),
            float(self.f1[at]),
        )


def curve_over_all(matches: Matches, *, iou_min: float = 0.5) -> ConfidenceCurve:
    """The curve of all classes together, each detection and each truth with the same weight.

    Neutral detections are left out; those of a class without truth are false alarms. Raises InputError when no truth
    counts.
    """
    if not matches.positives.any():
        raise InputError(
            "the truth has no box that counts (none, or all difficult): there is nothing to find"
        )
    counts = ~matches.neutral(iou_min)
    return _curve(
        matches.score[counts], matches.hits(iou_min)[counts], int(matches.positives.sum())
    )


def curves_by_class(matches: Matches, *, iou_min: float = 0.5) -> dict[str, ConfidenceCurve]:
    """The curve of each class that has truth. Neutral detections are left out."""
    counts = ~matches.neutral(iou_min)
    label, score, hits = matches.label[counts], matches.score[counts], matches.hits(iou_min)[counts]
    rows = {int(c): label == c for c in np.flatnonzero(matches.positives)}
    return {
        matches.classes[c]: _curve(score[mine], hits[mine], int(matches.positives[c]))
        for c, mine in rows.items()
    }


def _curve(score: Array, hits: Array, truths: int) -> ConfidenceCurve:
    """Scores (N,) and hits (N,) bool in any order, out of `truths` -> their curve. Of equal scores all pass or none."""
    order = np.argsort(-score, kind="stable")
    score, found = score[order], np.cumsum(hits[order])
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True)[: len(score)])
    shown, found = last + 1, found[last]
    return ConfidenceCurve(score[last], found / shown, found / truths, 2 * found / (shown + truths))
