"""What keeps AP from 1: what fixing each kind of error alone would bring (TIDE).

Counting errors does not say which cost most: a false positive that scores below every hit costs
nothing. TIDE asks what AP would be if an oracle fixed one kind and left the others, and calls the
difference the gain of that fix:

1. judge every detection and every truth (judge.py)
2. AP as it is
3. for each kind: AP with the errors of that kind fixed, less AP as it is
4. the same for the errors of small, medium and large things alone

Two cats. A box with IoU 0.4 on the first scores 0.9, a hit on the second 0.7. The ranking is false
positive, hit: precision 1/2 at recall 1/2, AP = 1/4. The oracle that fixes localisation turns the
first into a hit, which makes AP 1: the gain is 3/4. Dropping all false positives leaves one hit of
two: AP 1/2, gain 1/4.
"""

from dataclasses import dataclass

import numpy as np

from evaluate.diagnosis.judge import judge_matches
from evaluate.diagnosis.verdicts import (
    CLASS,
    KINDS,
    LOCALISATION,
    MISSED,
    SIZES,
    VOC,
    MatchRule,
    Verdicts,
)
from evaluate.metrics.matching import Matches
from evaluate.tables import Array, GroundTruth

# The last two fix the same errors as the six kinds, divided another way.
FIXES = (*KINDS, "false_positive", "false_negative")

# Of n detections and M truths: errors that are fixed (n,) bool and the size that each has (n,);
# truths that are forgotten (M,) bool.
Fix = tuple[Array, Array, Array]


@dataclass(frozen=True, eq=False)
class TideErrors:
    """What each of the F FIXES alone adds to the AP of C classes.

    First by the errors of all sizes, then by those of each of SIZES.
    """

    classes: tuple[str, ...]
    ap: Array  # (C,) float64 in [0, 1], NaN where the class has no truth that counts
    gain: Array  # (4, F, C) float64 in [0, 1], NaN likewise
    count: Array  # (4, F, C) int, how many; a false positive counts for the class it names

    @property
    def mean(self) -> float:
        """mAP over the classes that have truth."""
        return float(np.nanmean(self.ap))

    @property
    def total(self) -> dict[str, float]:
        """What each fix adds to mAP."""
        return _by_fix(np.nanmean(self.gain[0], 1))

    @property
    def per_class(self) -> dict[str, dict[str, float] | None]:
        """What each fix adds to the AP of each class; None for a class without truth."""
        gains = zip(self.classes, self.ap, self.gain[0].T, strict=True)
        return {name: None if np.isnan(ap) else _by_fix(gain) for name, ap, gain in gains}

    @property
    def per_size(self) -> dict[str, dict[str, float]]:
        """What each fix, of the errors of one size only, adds to mAP (over truth of all sizes)."""
        gains = np.nanmean(self.gain[1:], 2)
        return {size: _by_fix(gain) for size, gain in zip(SIZES, gains, strict=True)}


def tide(
    matches: Matches,
    truth: GroundTruth,
    *,
    rule: MatchRule = VOC,
    iou_min: float = 0.5,
    iou_background: float = 0.1,
) -> TideErrors:
    """What each fix alone adds to AP. `matches` are those of `truth`.

    The oracle turns the best localisation or class error at a truth that none hits into a hit, in
    that truth's class, and drops the others; it drops duplicates, both and background; it takes
    missed truths off the number to find. false_positive drops all false positives; false_negative
    takes off every truth that is not hit.

    Gains do not add up to what is missing: a fix is worth more after the others. Those by class
    average to the total. By size, an error has the area of its truth (localisation, class, missed,
    false_negative) or of its box (the others), in square pixels: small up to 32², medium up to 96²,
    large above.

    Source: Bolya et al., 2020, https://arxiv.org/abs/2008.08115, and its package tidecv 1.0.1.
    Differs: with `rule=TIDECV` not at all where scores are distinct, no truth is difficult, each
    class with detections has truth and each with truth detections. Otherwise:

    * equal scores rank as in `voc_map`; tidecv ranks fixed tables anew, false positives first
    * of truths overlapped equally the first by box is taken, not by row
    * a class without truth is left out; tidecv gives it AP 0 while it has detections
    * a class that a fix leaves with nothing to find and no false positive has AP 1; tidecv leaves
      it out
    * what a difficult truth excuses is no error; tidecv may repair it to a hit

    Raises InputError when no truth counts or an option is out of range.
    """
    verdicts = judge_matches(
        matches, truth, rule=rule, iou_min=iou_min, iou_background=iou_background
    )
    nothing_fixed = np.zeros(len(verdicts.kind), bool)
    ap = verdicts.ap(nothing_fixed, np.zeros(len(verdicts.counts), bool))

    gain = np.empty((1 + len(SIZES), len(FIXES), len(verdicts.classes)))
    count = np.empty(gain.shape, int)
    for f, (fixed, size, forgotten) in enumerate(_fixes(verdicts)):
        repair = FIXES[f] != "false_positive"
        for s in range(1 + len(SIZES)):  # all sizes, then each
            of_size = (size == s - 1) | (s == 0)
            truth_of_size = (verdicts.truth_size == s - 1) | (s == 0)
            errors, truths = fixed & of_size, forgotten & truth_of_size
            gain[s, f] = verdicts.ap(errors, truths, repair=repair) - ap
            labels = np.concatenate([verdicts.label[errors], verdicts.truth_label[truths]])
            count[s, f] = np.bincount(labels, minlength=len(verdicts.classes))
    return TideErrors(verdicts.classes, ap, gain, count)


def _fixes(verdicts: Verdicts) -> list[Fix]:
    """What each of FIXES fixes."""
    no_error = np.zeros(len(verdicts.kind), bool)
    no_truth = np.zeros(len(verdicts.counts), bool)

    # A localisation or class error has the size of its truth, the others that of their box.
    on_truth = np.isin(verdicts.kind, (LOCALISATION, CLASS))
    size = verdicts.size.copy()
    size[on_truth] = verdicts.truth_size[verdicts.target[on_truth]]

    kinds = [(verdicts.kind == kind, size, no_truth) for kind in range(MISSED)]
    return [
        *kinds,
        (no_error, verdicts.size, verdicts.missed),
        (verdicts.kind >= 0, verdicts.size, no_truth),
        (no_error, verdicts.size, verdicts.counts & ~verdicts.hit),
    ]


def _by_fix(gain: Array) -> dict[str, float]:
    return dict(zip(FIXES, gain.tolist(), strict=True))
