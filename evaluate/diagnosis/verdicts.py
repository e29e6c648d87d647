"""What became of each detection and each truth: hit, excused, or one of TIDE's kinds of error.

Imports numba: import this module late.
"""

from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np

from evaluate.exceptions import InputError
from evaluate.metrics.matching import match, ranking
from evaluate.metrics.voc import average_precision
from evaluate.tables import Array, Boxes, Detections, GroundTruth, align, among_first

KINDS = ("localisation", "class", "both", "duplicate", "background", "missed")
LOCALISATION, CLASS, BOTH, DUPLICATE, BACKGROUND, MISSED = range(6)
HIT, NEUTRAL = -1, -2
SIZES = ("small", "medium", "large")
AREA_MAX = (32**2, 96**2)  # of small, of medium


@dataclass(frozen=True)
class MatchRule:
    """How AP is counted. The defaults are VOC's, as in `voc_map`."""

    recall_points: int | None = (
        None  # mean over so many recalls from 0 to 1; None: area under the envelope
    )
    next_free: bool = False  # a detection takes its best free truth; False: it is judged by its best, taken or not
    detections_max: int | None = None  # the best of an image that count, all classes together


VOC = MatchRule()
TIDECV = MatchRule(
    recall_points=101, next_free=True, detections_max=100
)  # the tidecv package, as it comes
RULES = {"voc-area": VOC, "voc-11pt": MatchRule(recall_points=11), "tidecv": TIDECV}  # by metric


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What became of n detections, best first, and of M truths in table order."""

    classes: tuple[str, ...]
    rule: MatchRule
    row: Array  # (n,) int, row of the detection in its own table; those beyond detections_max are left out
    label: Array  # (n,) row of classes
    size: Array  # (n,) row of SIZES, of the detection's box
    kind: Array  # (n,) row of KINDS, or HIT, or NEUTRAL
    target: (
        Array  # (n,) int, row of the truth it hits, or would hit with another box or class; else -1
    )
    repairs: Array  # (n,) bool, the best of those that would hit a truth that none hits
    truth_label: Array  # (M,) row of classes
    truth_size: Array  # (M,) row of SIZES
    counts: Array  # (M,) bool, not difficult
    found: Array  # (M,) bool, hit
    missed: Array  # (M,) bool, counts, not hit, and no error would hit it

    def ap(self, mended: Array, lost: Array, *, repair: bool = True) -> Array:
        """AP by class once the errors `mended` (n,) bool are fixed and the truths `lost` (M,) bool forgotten. -> (C,).

        A fixed error becomes a hit if it repairs one (and `repair`), in the class of its truth, and goes otherwise.
        A class without truth has NaN; one left without truth has 1, or 0 if false alarms are left.
        """
        hits = (self.kind == HIT) | (mended & self.repairs if repair else False)
        kept = np.flatnonzero(hits | ((self.kind >= 0) & ~mended))
        label = self.label[kept]
        label[hits[kept]] = self.truth_label[self.target[kept[hits[kept]]]]
        by_class = np.argsort(label, kind="stable")
        edges = np.searchsorted(label[by_class], np.arange(len(self.classes) + 1))
        hits = hits[kept[by_class]]
        positives = np.bincount(self.truth_label[self.counts & ~lost], minlength=len(self.classes))
        ap = np.full(len(self.classes), np.nan)
        for c in np.unique(self.truth_label[self.counts]):
            ap[c] = _average_precision(
                hits[edges[c] : edges[c + 1]], positives[c], self.rule.recall_points
            )
        return ap


def judge(
    dets: Detections,
    truth: GroundTruth,
    *,
    rule: MatchRule = VOC,
    iou_min: float = 0.5,
    iou_background: float = 0.1,
) -> Verdicts:
    """Say of each detection what it is, and of each truth whether it is found, missed or neither.

    A detection that is no hit and not excused by a difficult truth is, by its best IoU with truths that are not
    difficult, the first of: localisation, its own class from iou_background to iou_min, both included; class,
    another class from iou_min; duplicate, its own class above iou_min; background, any class up to iou_background;
    both. A truth is missed when it is not hit and is not the best truth of a localisation or class error either.

    By VOC's rule a detection is excused as in `voc_map`; with `rule.next_free` when more than iou_min of its own
    area is inside a difficult truth of its class, as COCO does. Neither row order nor that of classes matters.
    """
    _refuse(truth, rule, iou_min, iou_background)
    dets = align(dets, truth)
    row = best_first(dets, rule.detections_max)
    dets = dets.take(row)
    order = np.lexsort((by_name(truth), *truth.xyxy.T[::-1], truth.image))
    edges = np.searchsorted(truth.image[order], np.arange(len(truth.image_ids) + 1))
    box = dets.xyxy.astype(np.float64), dets.image, dets.label
    real = truth.xyxy[order].astype(np.float64), truth.label[order], truth.difficult[order]
    (own, other), at, taken, inside = _overlaps(*box, *real, edges, iou_min)
    own_at, other_at, target = (np.append(order, -1)[column] for column in (*at, taken))
    neutral = inside > iou_min
    if not rule.next_free:
        matches = match(dets, truth)
        target[matches.row] = np.where(matches.hits(iou_min), matches.target, -1)
        neutral[matches.row] = matches.neutral(iou_min)
    localisation = (iou_background <= own) & (own <= iou_min)
    background = np.maximum(own, other) <= iou_background
    kind = np.select(
        [target >= 0, neutral, localisation, other >= iou_min, own > iou_min, background],
        [HIT, NEUTRAL, LOCALISATION, CLASS, DUPLICATE, BACKGROUND],
        BOTH,
    )
    found = np.zeros(len(truth), bool)
    found[target[kind == HIT]] = True
    target = np.select([kind == LOCALISATION, kind == CLASS], [own_at, other_at], target)
    near = np.flatnonzero(np.isin(kind, (LOCALISATION, CLASS)))
    near = near[~found[target[near]]]
    reached, best = np.unique(target[near], return_index=True)
    repairs = np.zeros(len(kind), bool)
    repairs[near[best]] = True
    missed = ~truth.difficult & ~found
    missed[reached] = False
    of_truth = (truth.label, _size(truth), ~truth.difficult, found, missed)
    return Verdicts(
        truth.classes, rule, row, dets.label, _size(dets), kind, target, repairs, *of_truth
    )


def _refuse(truth: GroundTruth, rule: MatchRule, iou_min: float, iou_background: float) -> None:
    if not 0 < iou_background < iou_min <= 1:
        raise InputError(
            f"want 0 < iou_background < iou_min <= 1, there are {iou_background} and {iou_min}"
        )
    if rule.recall_points is not None and rule.recall_points < 2:
        raise InputError(f"recall_points is {rule.recall_points}, want at least 2")
    if rule.detections_max is not None and rule.detections_max < 1:
        raise InputError(f"detections_max is {rule.detections_max}, want at least 1")
    if truth.difficult.all():
        raise InputError(
            "the truth has no box that counts (none, or all difficult): there is nothing to score against"
        )


def best_first(dets: Detections, most: int | None = None) -> Array:
    """Rows of all classes by falling score, equal scores by image id, box, then class name; `most` of each image."""
    order = np.argsort(by_name(dets), kind="stable")
    as_one = replace(dets.take(order), classes=("any",), label=np.zeros(len(dets), np.int16))
    rows: Array = order[ranking(as_one)]
    if most is None:
        return rows
    by_image = np.argsort(dets.image[rows], kind="stable")
    kept: Array = rows[np.sort(by_image[among_first(dets.image[rows[by_image]], most)])]
    return kept


def by_name(boxes: Boxes) -> Array:
    """Place of each row's class among the sorted class names. -> (N,) int."""
    places: Array = np.argsort(np.argsort(np.array(boxes.classes, np.str_)))[boxes.label]
    return places


def _size(boxes: Boxes) -> Array:
    """Row of SIZES of each box. -> (N,) int."""
    sides = boxes.xyxy[:, 2:].astype(np.float64) - boxes.xyxy[:, :2]
    size: Array = np.searchsorted(AREA_MAX, sides.prod(1))
    return size


def _average_precision(hits: Array, positives: int, points: int | None) -> float:
    """`voc_map.average_precision`; nothing to find is 1 if nothing is there, or 0."""
    if not positives:
        return float(not len(hits))
    return average_precision(hits, positives, recall_points=points)


@numba.njit(cache=True)
def _overlaps(
    xyxy: Any,
    image: Any,
    label: Any,
    truth_xyxy: Any,
    truth_label: Any,
    difficult: Any,
    edges: Any,
    iou_min: float,
) -> Any:
    """How n detections, best first, lie to the truths of their image, which are those from edges[image] on.

    -> best IoU with a truth of its class and of another, difficult ones aside (2, n); those truths (2, n), or -1; the
    truth taken (n,), the best free one of its class from iou_min, or -1; the largest part of the box that lies in a
    difficult truth of its class (n,). Of equal truths the first is taken.
    """
    n = len(xyxy)
    iou, at = np.zeros((2, n)), np.full((2, n), -1)
    taken, inside = np.full(n, -1), np.zeros(n)
    free = ~difficult
    for i in range(n):
        x1, y1, x2, y2 = xyxy[i]
        area = (x2 - x1) * (y2 - y1)
        best = 0.0
        for j in range(edges[image[i]], edges[image[i] + 1]):
            u1, v1, u2, v2 = truth_xyxy[j]
            width, height = min(x2, u2) - max(x1, u1), min(y2, v2) - max(y1, v1)
            if width <= 0 or height <= 0:
                continue
            shared = width * height
            other = int(label[i] != truth_label[j])
            if difficult[j]:
                if not other:
                    inside[i] = max(inside[i], shared / area)
                continue
            overlap = shared / (area + (u2 - u1) * (v2 - v1) - shared)
            if overlap > iou[other, i]:
                iou[other, i], at[other, i] = overlap, j
            if not other and free[j] and overlap > best and overlap >= iou_min:
                best, taken[i] = overlap, j
        if taken[i] >= 0:
            free[taken[i]] = False
    return iou, at, taken, inside
