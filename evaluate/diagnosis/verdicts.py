"""What became of each detection and each truth, and what AP would be if some errors were fixed.

TIDE asks for AP many times over, with other errors fixed each time. Nothing is matched again for
that: once each detection is judged (judge.py), fixing an error changes one line of the ranking.

    ranking of "cat"       1. false positive   2. hit        AP of 2 truths: 1/2 * 1/2 = 1/4
    the first is fixed     1. hit              2. hit        AP 1
    the first is dropped   1. hit                            AP 1/2

Source: Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020,
https://arxiv.org/abs/2008.08115.
"""

from dataclasses import dataclass

import numpy as np

from evaluate.metrics.average_precision import average_precision
from evaluate.tables import Array

KINDS = ("localisation", "class", "both", "duplicate", "background", "missed")
LOCALISATION, CLASS, BOTH, DUPLICATE, BACKGROUND, MISSED = range(6)
HIT, NEUTRAL = -1, -2
SIZES = ("small", "medium", "large")
AREA_MAX = (32**2, 96**2)  # of small, of medium


@dataclass(frozen=True)
class MatchRule:
    """How hits are told and AP is counted. The defaults are VOC's, as in `voc_map`."""

    # AP is the mean over so many recalls from 0 to 1; None: the area under the envelope
    recall_points: int | None = None
    # a detection takes its best free truth; False: it is judged by its best truth, taken or not
    next_free: bool = False
    # how many of an image's detections count, the best of all classes together
    detections_max: int | None = None


VOC = MatchRule()
TIDECV = MatchRule(recall_points=101, next_free=True, detections_max=100)  # the package's defaults
RULES = {"voc-area": VOC, "voc-11pt": MatchRule(recall_points=11), "tidecv": TIDECV}  # by metric


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What became of n detections, best first, and of M truths in table order."""

    classes: tuple[str, ...]
    rule: MatchRule
    row: Array  # (n,) int, row of the detection in its table; none beyond detections_max
    label: Array  # (n,) row of classes
    size: Array  # (n,) row of SIZES, of the detection's box
    kind: Array  # (n,) row of KINDS, or HIT, or NEUTRAL
    target: Array  # (n,) int, the truth it hits, or would with another box or class; or -1
    repairs: Array  # (n,) bool, the best of those that would hit a truth that none hits
    truth_label: Array  # (M,) row of classes
    truth_size: Array  # (M,) row of SIZES
    counts: Array  # (M,) bool, not difficult
    hit: Array  # (M,) bool
    missed: Array  # (M,) bool, counts, not hit, and no error would hit it

    def ap(self, fixed: Array, forgotten: Array, *, repair: bool = True) -> Array:
        """AP by class once some errors are fixed and some truths forgotten. -> (C,) float64.

        `fixed` (n,) bool: such an error becomes a hit if it repairs one (and `repair` is true), in
        the class of its truth; otherwise it is dropped. `forgotten` (M,) bool: truths that need not
        be found. NaN for a class without truth; a class that is left without truth has 1, or 0 if
        false positives are left.
        """
        # 1. the detections that remain, and the class that each counts for
        hits = (self.kind == HIT) | (fixed & self.repairs if repair else False)
        kept = np.flatnonzero(hits | ((self.kind >= 0) & ~fixed))
        label, hits = self.label[kept], hits[kept]
        label[hits] = self.truth_label[self.target[kept[hits]]]

        # 2. their hits class by class, best first
        by_class = np.argsort(label, kind="stable")
        edges = np.searchsorted(label[by_class], np.arange(len(self.classes) + 1))
        hits = hits[by_class]

        # 3. AP of each class that has truth
        left = self.counts & ~forgotten
        positives = np.bincount(self.truth_label[left], minlength=len(self.classes))
        ap = np.full(len(self.classes), np.nan)
        for c in np.unique(self.truth_label[self.counts]):
            of_class = hits[edges[c] : edges[c + 1]]
            if positives[c]:
                hit_ranks, points = np.flatnonzero(of_class) + 1, self.rule.recall_points
                ap[c] = average_precision(hit_ranks, positives[c], recall_points=points)
            else:
                ap[c] = float(not len(of_class))
        return ap
