"""What keeps AP from 1: a detector's errors by kind, and what fixing each kind alone would bring (TIDE).

Imports numba: import this module late.
"""

from dataclasses import dataclass

import numpy as np

from evaluate.diagnosis.verdicts import (
    CLASS,
    KINDS,
    LOCALISATION,
    MISSED,
    SIZES,
    VOC,
    MatchRule,
    judge,
)
from evaluate.tables import Array, Detections, GroundTruth

FIXES = (
    *KINDS,
    "false_positive",
    "false_negative",
)  # the last two fix the same errors, parted another way


@dataclass(frozen=True, eq=False)
class TideErrors:
    """What each of the F FIXES alone adds to the AP of C classes: the errors of all sizes, then of each of SIZES."""

    classes: tuple[str, ...]
    ap: Array  # (C,) float64 in [0, 1], NaN where the class has no truth that counts
    gain: Array  # (4, F, C) float64 in [0, 1], NaN likewise
    count: Array  # (4, F, C) int, how many; a false alarm counts for the class it names

    @property
    def mean(self) -> float:
        """mAP over the classes that have truth."""
        return float(np.nanmean(self.ap))

    @property
    def total(self) -> dict[str, float]:
        """What each fix adds to mAP."""
        return _named(np.nanmean(self.gain[0], 1))

    @property
    def per_class(self) -> dict[str, dict[str, float] | None]:
        """What each fix adds to the AP of each class, None where the class has no truth that counts."""
        gains = zip(self.classes, self.ap, self.gain[0].T, strict=True)
        return {name: None if np.isnan(ap) else _named(gain) for name, ap, gain in gains}

    @property
    def per_size(self) -> dict[str, dict[str, float]]:
        """What each fix, of the errors of one size only, adds to mAP (over truth of all sizes)."""
        return {
            size: _named(gain)
            for size, gain in zip(SIZES, np.nanmean(self.gain[1:], 2), strict=True)
        }


def tide(
    dets: Detections,
    truth: GroundTruth,
    *,
    rule: MatchRule = VOC,
    iou_min: float = 0.5,
    iou_background: float = 0.1,
) -> TideErrors:
    """Split what is missing from AP = 1: for each kind of `judge`, AP if an oracle fixed that kind alone, less AP.

    The oracle turns the best localisation or class error at a truth that none hits into a hit (in that truth's class)
    and drops the others; it drops duplicates, both and background; it takes missed truths off the number to find.
    false_positive drops all false alarms, false_negative takes off every truth that is not hit. Gains do not add up
    to what is missing: a fix is worth more after the others. Those by class average to the total. By size, an error
    has the area of its truth (localisation, class, missed, false_negative) or of its box (the others), in pixels:
    small up to 32², medium up to 96², large above.

    Source: Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection TideErrors", 2020,
    https://arxiv.org/abs/2008.08115, and its package tidecv 1.0.1. Differs: with `rule=TIDECV` not at all where
    scores are distinct, no truth is difficult, each class with detections has truth and each with truth detections.
    Otherwise: equal scores rank as in `voc_map`, where tidecv ranks mended tables anew, false alarms first; of truths
    overlapped equally the first by box is taken, not by row; a class without truth is left out, where tidecv gives it
    AP 0 while it has detections; a class that a fix leaves with nothing to find and no false alarm has AP 1, where
    tidecv leaves it out; what a difficult truth excuses is no error, where tidecv may repair it to a hit.
    Raises InputError when the tables' images or classes differ, no truth counts, or an option is out of range.
    """
    v = judge(dets, truth, rule=rule, iou_min=iou_min, iou_background=iou_background)
    none, alarms = np.zeros(len(v.kind), bool), v.kind >= 0
    nowhere, unfound = np.zeros(len(v.counts), bool), v.counts & ~v.found
    named = np.isin(v.kind, (LOCALISATION, CLASS))
    size_of_kind = v.size.copy()
    size_of_kind[named] = v.truth_size[v.target[named]]
    fixes = [(v.kind == kind, size_of_kind, nowhere) for kind in range(MISSED)]
    fixes += [(none, v.size, v.missed), (alarms, v.size, nowhere), (none, v.size, unfound)]
    ap = v.ap(none, nowhere)
    gain = np.empty((1 + len(SIZES), len(FIXES), len(v.classes)))
    count = np.empty(gain.shape, int)
    for f, (wrong, size, lost) in enumerate(fixes):
        for s in range(1 + len(SIZES)):
            w, t = (
                (wrong, lost)
                if s == 0
                else (wrong & (size == s - 1), lost & (v.truth_size == s - 1))
            )
            gain[s, f] = v.ap(w, t, repair=FIXES[f] != "false_positive") - ap
            labels = np.concatenate([v.label[w], v.truth_label[t]])
            count[s, f] = np.bincount(labels, minlength=len(v.classes))
    return TideErrors(v.classes, ap, gain, count)


def _named(gain: Array) -> dict[str, float]:
    return dict(zip(FIXES, gain.tolist(), strict=True))
