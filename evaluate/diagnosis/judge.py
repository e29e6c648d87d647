"""Which verdict each detection and each truth gets: hit, excused, or one of TIDE's kinds of error.

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
"""

from typing import NamedTuple

import numpy as np

from evaluate.diagnosis.verdicts import (
    AREA_MAX,
    BACKGROUND,
    BOTH,
    CLASS,
    DUPLICATE,
    HIT,
    LOCALISATION,
    NEUTRAL,
    VOC,
    MatchRule,
    Verdicts,
)
from evaluate.exceptions import InputError
from evaluate.loops import Kernels
from evaluate.metrics.matching import Matches, require_positives
from evaluate.metrics.overall_ranking import class_by_name, overall_ranking
from evaluate.tables import Array, Boxes, Detections, GroundTruth

kernel = Kernels("evaluate.diagnosis.judge_kernel")


class Overlaps(NamedTuple):
    """How n detections lie to the truths of their image; difficult ones only count in `inside`."""

    own: Array  # (n,) float64, best IoU with a truth of its class, or 0
    other: Array  # (n,) float64, the same for other classes
    own_truth: Array  # (n,) int, rows of those truths, or -1
    other_truth: Array  # (n,) int
    taken: Array  # (n,) int, the best truth of its class from iou_min that was free, or -1
    inside: Array  # (n,) float64, largest part of its box in a difficult truth of its class


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

    # 1. detections best first, and how they overlap truths
    row = overall_ranking(matches.table, rule.detections_max)
    dets = matches.table.take(row)
    overlaps = _overlaps(dets, truth, iou_min)

    # 2. hits, and those that a difficult truth excuses
    if rule.next_free:
        target, neutral = overlaps.taken, overlaps.inside > iou_min
    else:
        target, neutral = (column[row] for column in _by_row(matches, iou_min))

    # 3. kinds: the first condition that holds
    own, other = overlaps.own, overlaps.other
    localisation = (iou_background <= own) & (own <= iou_min)
    background = np.maximum(own, other) <= iou_background
    kind = np.select(
        [target >= 0, neutral, localisation, other >= iou_min, own > iou_min, background],
        [HIT, NEUTRAL, LOCALISATION, CLASS, DUPLICATE, BACKGROUND],
        BOTH,
    )
    would_hit = [kind == LOCALISATION, kind == CLASS]
    target = np.select(would_hit, [overlaps.own_truth, overlaps.other_truth], target)

    # 4. truths that are hit, and those within reach of an error, of which the best repairs it
    hit = np.zeros(len(truth), bool)
    hit[target[kind == HIT]] = True
    near = np.flatnonzero(would_hit[0] | would_hit[1])
    near = near[~hit[target[near]]]
    within_reach, best = np.unique(target[near], return_index=True)
    repairs = np.zeros(len(kind), bool)
    repairs[near[best]] = True

    # 5. the others are missed
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


def _overlaps(dets: Detections, truth: GroundTruth, iou_min: float) -> Overlaps:
    """Of detections that come best first."""
    # Truths by image, then by box and class name, so that of equal ones always the same is taken.
    order = np.lexsort((class_by_name(truth), *truth.xyxy.T[::-1], truth.image))
    edges = np.searchsorted(truth.image[order], np.arange(len(truth.image_ids) + 1))
    (own, other), places, taken, inside = kernel.compare_with_truths(
        dets.xyxy.astype(np.float64),
        dets.image,
        dets.label,
        truth.xyxy[order].astype(np.float64),
        truth.label[order],
        truth.difficult[order],
        edges,
        iou_min,
    )
    row = np.append(order, -1)  # of the truth in each place; place -1 is none
    return Overlaps(own, other, row[places[0]], row[places[1]], row[taken], inside)


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


def _size(boxes: Boxes) -> Array:
    """Row of SIZES of each box. -> (N,) int."""
    sides = boxes.xyxy[:, 2:].astype(np.float64) - boxes.xyxy[:, :2]
    size: Array = np.searchsorted(AREA_MAX, sides.prod(1))
    return size
