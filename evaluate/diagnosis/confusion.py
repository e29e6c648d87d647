"""Which class is taken for which, at one confidence.

AP compares detections with truths class by class, so it cannot say that the false positive "cat"
is the dog that was not found. Here each truth goes to one detection, of whatever class:

1. each detection claims one truth: of its own class the one that it overlaps most; if that is less
   than `iou_min`, the one of any class that it overlaps most, if that is enough
2. by falling score, a claim on a free truth takes it
3. what has not taken a truth is a false positive, and a truth that none has taken is missed

Its own class goes first in step 1, so that a rider's box is not taken for the horse under it: if
the box overlaps the rider by 0.8 and the horse by 0.9, it claims the rider.

A cat and a dog; "bird" 0.9 on the cat, "cat" 0.8 on the cat too, nothing on the dog:

    truth \\ taken for   cat   bird   missed
    cat                         1              the bird scores higher and takes the cat
    dog                                1
    background           1                     the cat that would have hit finds it taken
"""

from dataclasses import dataclass, replace

import numpy as np

from evaluate.exceptions import InputError
from evaluate.metrics.matching import Matches, best_truth
from evaluate.metrics.overall_ranking import class_by_name, overall_ranking
from evaluate.tables import Array, Detections, GroundTruth


@dataclass(frozen=True)
class Mistake:
    """So many truths of one class were taken for another."""

    truth: str
    taken_for: str
    count: int


@dataclass(frozen=True, eq=False)
class Confusion:
    """What the detections scored `conf` or more say of the truths that count, C classes.

    Rows of the matrix: the class of the truth, then background. Columns: the class named, then
    missed. A row adds up to the truths of its class, a column to the detections of its class that
    count.
    """

    classes: tuple[str, ...]
    conf: float
    matrix: Array  # (C + 1, C + 1) int

    @property
    def false_positives(self) -> int:
        """Detections on no truth, or on one that a better detection has taken."""
        return int(self.matrix[-1].sum())

    @property
    def missed(self) -> int:
        """Truths that no detection has taken."""
        return int(self.matrix[:, -1].sum())

    def mistakes(self) -> list[Mistake]:
        """Every pair of classes that were mixed up, the most frequent first, then by name."""
        off_diagonal = self.matrix[:-1, :-1] * ~np.eye(len(self.classes), dtype=bool)
        mistakes = [
            Mistake(self.classes[t], self.classes[d], int(off_diagonal[t, d]))
            for t, d in np.argwhere(off_diagonal)
        ]
        return sorted(mistakes, key=lambda m: (-m.count, m.truth, m.taken_for))


def confusion(
    matches: Matches, truth: GroundTruth, conf: float, *, iou_min: float = 0.5
) -> Confusion:
    """Give each truth the best scored detection that claims it, of whatever class.

    `matches` are those of `truth`. What claims a difficult truth of its own class counts as
    nothing; to other classes a difficult truth does not exist. Equal scores rank by image id, box,
    then class name, so that the order of rows does not matter.

    Raises InputError when conf is outside [0, 1].
    """
    if not 0 <= conf <= 1:
        raise InputError(f"conf is {conf}, want 0 to 1")

    # 1. claims, best first, without those that count as nothing
    matches = matches.above(conf)
    dets = matches.table.take(matches.row)
    target, neutral = _claims(dets, matches, truth, iou_min)
    order = overall_ranking(dets)
    order = order[~neutral[order]]
    label, target = dets.label[order], target[order]

    # 2. the first claim on each truth takes it
    taken, first = np.unique(target, return_index=True)
    taken, first = taken[taken >= 0], first[taken >= 0]

    # 3. one count per detection, and one per truth that none has taken
    background = missed = len(truth.classes)  # the last row, the last column
    row = np.full(len(label), background)  # (n,) of each detection
    row[first] = truth.label[taken]
    lost = ~truth.difficult
    lost[taken] = False
    matrix = np.zeros((len(truth.classes) + 1,) * 2, int)
    np.add.at(matrix, (row, label), 1)
    matrix[:-1, missed] += np.bincount(truth.label[lost], minlength=len(truth.classes))
    return Confusion(truth.classes, float(conf), matrix)


def _claims(
    dets: Detections, matches: Matches, truth: GroundTruth, iou_min: float
) -> tuple[Array, Array]:
    """The row of the truth that each of n detections claims, or -1; whether it counts as nothing.

    dets (n,): the rows of `matches`, in their order. -> (n,) int, (n,) bool.
    """
    own = matches.target
    claims_own = matches.overlap >= iou_min
    neutral = claims_own.copy()
    neutral[claims_own] = truth.difficult[own[claims_own]]

    # Truths of any class: all as one class, of equal boxes the first by name first.
    real = np.flatnonzero(~truth.difficult)
    real = real[np.argsort(class_by_name(truth)[real], kind="stable")]
    any_dets = replace(dets, classes=("any",), label=np.zeros_like(dets.label))
    any_truth = replace(truth.take(real), classes=("any",), label=np.zeros(len(real), np.int16))
    overlap, place = best_truth(any_dets, any_truth)
    other = np.append(real, -1)[place]
    return np.select([claims_own, overlap >= iou_min], [own, other], -1), neutral
