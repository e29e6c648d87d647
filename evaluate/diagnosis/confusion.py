"""Which class is taken for which, at one confidence.

Imports numba: import this module late.
"""

from dataclasses import dataclass, replace

import numpy as np

from evaluate.diagnosis.verdicts import best_first, by_name
from evaluate.exceptions import InputError
from evaluate.metrics.matching import best_truth
from evaluate.tables import Array, Detections, GroundTruth, align


@dataclass(frozen=True)
class Mistake:
    """So many truths of one class were taken for another."""

    truth: str
    taken_for: str
    count: int


@dataclass(frozen=True, eq=False)
class Confusion:
    """What the detections scored `conf` or more say of the truths that count, C classes.

    A row adds up to the truths of its class, a column to the detections of its class that count.
    """

    classes: tuple[str, ...]
    conf: float
    matrix: Array  # (C + 1, C + 1) int; rows: class of the truth, then background; columns: class named, then missed

    @property
    def false_alarms(self) -> int:
        """Detections on no truth, or on one that a better detection has taken."""
        return int(self.matrix[-1].sum())

    @property
    def missed(self) -> int:
        """Truths that no detection has taken."""
        return int(self.matrix[:, -1].sum())

    def mistakes(self) -> list[Mistake]:
        """Every pair of classes of which one was taken for the other, the most frequent first, then by name."""
        between = self.matrix[:-1, :-1] * ~np.eye(len(self.classes), dtype=bool)
        found = [
            Mistake(self.classes[t], self.classes[d], int(between[t, d]))
            for t, d in np.argwhere(between)
        ]
        return sorted(found, key=lambda mistake: (-mistake.count, mistake.truth, mistake.taken_for))


def confusion(
    dets: Detections, truth: GroundTruth, conf: float, *, iou_min: float = 0.5
) -> Confusion:
    """Give each truth the best scored detection that claims it, of whatever class.

    A detection claims the truth of its own class that it overlaps most, as in `matching.match`; where that overlap is
    below `iou_min`, the truth of any class that it overlaps most, from `iou_min`. So a rider's box is not taken for
    the horse under it. By falling score a claim on a free truth takes it, and any other detection is a false alarm.
    What claims a difficult truth of its own class counts as nothing; to other classes a difficult truth does not exist.

    Row order never matters: equal scores rank by image id, box, then class name. Raises InputError when the tables'
    images or classes differ, or conf is outside [0, 1].
    """
    if not 0 <= conf <= 1:
        raise InputError(f"conf is {conf}, want 0 to 1")
    dets = align(dets, truth)
    dets = dets.take(dets.score >= np.float32(conf))
    dets = dets.take(best_first(dets))
    target, neutral = _claims(dets, truth, iou_min)
    label, target = dets.label[~neutral], target[~neutral]
    taken, first = np.unique(target, return_index=True)
    taken, first = taken[taken >= 0], first[taken >= 0]
    background = missed = len(truth.classes)
    row = np.full(len(label), background)  # (n,) of each detection
    row[first] = truth.label[taken]
    column = np.full(len(truth), missed)  # (M,) of each truth
    column[taken] = label[first]
    lost = (column == missed) & ~truth.difficult
    matrix = np.zeros((len(truth.classes) + 1,) * 2, int)
    np.add.at(matrix, (row, label), 1)
    np.add.at(matrix, (truth.label[lost], column[lost]), 1)
    return Confusion(truth.classes, float(conf), matrix)


def _claims(dets: Detections, truth: GroundTruth, iou_min: float) -> tuple[Array, Array]:
    """The row of the truth that each detection claims, or -1; whether it counts as nothing. -> (n,) int, (n,) bool."""
    overlap, own = best_truth(dets, truth)
    mine = overlap >= iou_min
    neutral = mine.copy()
    neutral[mine] = truth.difficult[own[mine]]
    real = np.flatnonzero(~truth.difficult)
    real = real[
        np.argsort(by_name(truth)[real], kind="stable")
    ]  # of equal boxes of two classes the first by name
    any_class = replace(dets, classes=("any",), label=np.zeros_like(dets.label))
    any_truth = replace(truth.take(real), classes=("any",), label=np.zeros(len(real), np.int16))
    overlap, other = best_truth(any_class, any_truth)
    return np.select([mine, overlap >= iou_min], [own, np.append(real, -1)[other]], -1), neutral
