"""What became of each detection and each truth: hit, excused, or one of TIDE's kinds of error.

A detection that is no hit is wrong in one of five ways. Two numbers tell which: its best IoU with
truths of the class it names, and with truths of other classes. The first line that fits is its
kind:

    localisation   own class 0.1 to 0.5       it is on the thing, but the box is off
    class          another class from 0.5     the box is right, its class is not
    duplicate      own class above 0.5        a better detection has taken the thing
    background     neither above 0.1          it is on nothing
    both           all others                 off, and of another class

A truth that is not hit is either within reach of a localisation or class error, which would have
hit it with another box or class, or missed, the sixth kind.

One cat at (0, 0, 10, 10), and by falling score:

    cat (0, 0, 10, 9)      IoU 0.9 with its class             a hit
    cat (0, 0, 10, 10)     1.0 with its class, taken          duplicate
    cat (0, 0, 10, 4)      0.4 with its class                 localisation
    dog (0, 0, 10, 10)     1.0 with another class             class
    dog (0, 0, 10, 4)      0.4 with another class             both
    cat (90, 0, 99, 9)     touches nothing                    background

Source: Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020,
https://arxiv.org/abs/2008.08115.
"""

from dataclasses import dataclass, replace

import numpy as np

from evaluate.exceptions import InputError
from evaluate.loops import Kernels
from evaluate.metrics.average_precision import average_precision
from evaluate.metrics.matching import Matches, ranking, require_positives
from evaluate.tables import Array, Boxes, Detections, GroundTruth, among_first

kernel = Kernels("evaluate.diagnosis.verdicts_kernel")

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
                points = self.rule.recall_points
                ap[c] = average_precision(
                    np.flatnonzero(of_class) + 1, positives[c], recall_points=points
                )
            else:
                ap[c] = float(not len(of_class))
        return ap


def judge_matches(
    matches: Matches,
    truth: GroundTruth,
    *,
    rule: MatchRule = VOC,
    iou_min: float = 0.5,
    iou_background: float = 0.1,
) -> Verdicts:
    """Say what each matched detection is, and whether each truth is hit, missed or neither.

    `matches` are those of `truth`. By VOC's rule a detection is excused as in `voc_map`; with
    `rule.next_free` when more than `iou_min` of its own area is inside a difficult truth of its
    class, as COCO does. Difficult truths make no errors otherwise. The limits of a kind belong to
    it as TIDE has it: localisation has both of its own, class has `iou_min`, background has
    `iou_background`. The order of rows, images and classes does not matter.

    Raises InputError when no truth counts or an option is out of range.
    """
    _refuse(truth, rule, iou_min, iou_background)

    # 1. detections best first, truths by image, box and class name: no order of rows is left
    row = best_first(matches.table, rule.detections_max)
    dets = matches.table.take(row)
    order = np.lexsort((by_name(truth), *truth.xyxy.T[::-1], truth.image))
    edges = np.searchsorted(truth.image[order], np.arange(len(truth.image_ids) + 1))

    # 2. how they overlap
    overlaps = kernel.compare_with_truths(
        dets.xyxy.astype(np.float64),
        dets.image,
        dets.label,
        truth.xyxy[order].astype(np.float64),
        truth.label[order],
        truth.difficult[order],
        edges,
        iou_min,
    )
    (own, other), places, taken, inside = overlaps
    own_truth, other_truth, target = (np.append(order, -1)[column] for column in (*places, taken))

    # 3. hits and excused ones
    if rule.next_free:
        neutral = inside > iou_min
    else:
        target, neutral = (column[row] for column in _by_row(matches, iou_min))

    # 4. kinds: the first condition that holds
    localisation = (iou_background <= own) & (own <= iou_min)
    background = np.maximum(own, other) <= iou_background
    kind = np.select(
        [target >= 0, neutral, localisation, other >= iou_min, own > iou_min, background],
        [HIT, NEUTRAL, LOCALISATION, CLASS, DUPLICATE, BACKGROUND],
        BOTH,
    )
    target = np.select([kind == LOCALISATION, kind == CLASS], [own_truth, other_truth], target)

    # 5. truths that are hit, those that an error would hit (the best such error), those missed
    hit = np.zeros(len(truth), bool)
    hit[target[kind == HIT]] = True
    near = np.flatnonzero(np.isin(kind, (LOCALISATION, CLASS)))
    near = near[~hit[target[near]]]
    within_reach, best = np.unique(target[near], return_index=True)
    repairs = np.zeros(len(kind), bool)
    repairs[near[best]] = True
    missed = ~truth.difficult & ~hit
    missed[within_reach] = False

    of_dets = (row, dets.label, _size(dets), kind, target, repairs)
    of_truth = (truth.label, _size(truth), ~truth.difficult, hit, missed)
    return Verdicts(truth.classes, rule, *of_dets, *of_truth)


def _refuse(truth: GroundTruth, rule: MatchRule, iou_min: float, iou_background: float) -> None:
    """Raise InputError where nothing can be judged."""
    if not 0 < iou_background < iou_min <= 1:
        raise InputError(
            f"want 0 < iou_background < iou_min <= 1, there are {iou_background} and {iou_min}"
        )
    if rule.recall_points is not None and rule.recall_points < 2:
        raise InputError(f"recall_points is {rule.recall_points}, want at least 2")
    if rule.detections_max is not None and rule.detections_max < 1:
        raise InputError(f"detections_max is {rule.detections_max}, want at least 1")
    require_positives(~truth.difficult)


def _by_row(matches: Matches, iou_min: float) -> tuple[Array, Array]:
    """For each row of the table: the truth that it hits, or -1; whether it counts as nothing.

    Judged among all detections of the table. `detections_max` leaves out the worst of an image, on
    which the others do not depend.
    """
    target = np.full(len(matches.table), -1)
    neutral = np.zeros(len(matches.table), bool)
    target[matches.row] = np.where(matches.hits(iou_min), matches.target, -1)
    neutral[matches.row] = matches.neutral(iou_min)
    return target, neutral


def best_first(dets: Detections, per_image_max: int | None = None) -> Array:
    """Rows of all classes by falling score, at most the best `per_image_max` of each image.

    Equal scores go by image id, box, then class name. -> (n,) int.
    """
    order = np.argsort(by_name(dets), kind="stable")
    one_class = np.zeros(len(dets), np.int16)
    rows: Array = order[ranking(replace(dets.take(order), classes=("any",), label=one_class))]
    if per_image_max is None:
        return rows
    by_image = np.argsort(dets.image[rows], kind="stable")
    kept = by_image[among_first(dets.image[rows[by_image]], per_image_max)]
    best: Array = rows[np.sort(kept)]
    return best


def by_name(boxes: Boxes) -> Array:
    """Place of each row's class among the sorted class names. -> (N,) int."""
    places: Array = np.argsort(np.argsort(np.array(boxes.classes, np.str_)))[boxes.label]
    return places


def _size(boxes: Boxes) -> Array:
    """Row of SIZES of each box. -> (N,) int."""
    sides = boxes.xyxy[:, 2:].astype(np.float64) - boxes.xyxy[:, :2]
    size: Array = np.searchsorted(AREA_MAX, sides.prod(1))
    return size
