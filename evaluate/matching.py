"""Which truth each detection finds: PASCAL VOC's rule, for every overlap threshold and confidence at once."""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from evaluate.boxes import iou_rowwise
from evaluate.tables import Array, Detections, GroundTruth, align, rank_key


@dataclass(frozen=True, eq=False)
class Matches:
    """N detections by class, best first within the class, each with the truth it is judged by."""

    classes: tuple[str, ...]
    positives: Array  # (C,) int, truths that count: those not difficult
    row: Array  # (N,) int, row of the detection in its own table
    label: Array  # (N,) row of classes, ascending
    score: Array  # (N,) float32, falling within a class
    target: Array  # (N,) int, row of the truth it overlaps most, -1 where it overlaps none
    overlap: Array  # (N,) float64, IoU with that truth, 0 where there is none
    claimed: Array  # (N,) float64, the best overlap that a better-ranked detection has with that truth, or 0
    difficult: Array  # (N,) bool, that truth is difficult

    def hits(self, iou_min: float) -> Array:
        """(N,) bool: overlaps its truth by at least `iou_min`, and no better-ranked detection does."""
        hits: Array = (self.claimed < iou_min) & (self.overlap >= iou_min) & ~self.difficult
        return hits

    def neutral(self, iou_min: float) -> Array:
        """(N,) bool: overlaps a difficult truth by at least `iou_min`, and so counts as nothing."""
        neutral: Array = (self.overlap >= iou_min) & self.difficult
        return neutral

    def above(self, conf: float) -> Self:
        """The matches of the detections with score >= conf, as if the others had never been there.

        Holds because a match depends only on better-ranked detections.
        """
        kept = self.score >= np.float32(conf)
        columns = [f.name for f in fields(self) if f.name not in ("classes", "positives")]
        return replace(self, **{name: getattr(self, name)[kept] for name in columns})


def match(dets: Detections, truth: GroundTruth) -> Matches:
    """Give each detection the truth of its image and class that it overlaps most, whether or not that one is taken.

    Because the truth does not depend on what is taken, one pass serves every threshold: a detection is a hit for
    thresholds in (claimed, overlap]. The result depends on what the tables hold and not on the order of their rows,
    images or classes: equal scores rank by image id, then by box; of equally overlapped truths the first by box
    (then one that is not difficult) is taken. The devkit takes both in file order.

    Source: VOCdevkit, VOCevaldet.m. Raises InputError when the tables' images or classes differ (`tables.align`).
    """
    dets = align(dets, truth)
    overlap, target = best_truth(dets, truth)
    row = ranking(dets)
    overlap, target = overlap[row], target[row]
    difficult = target >= 0
    difficult[difficult] = truth.difficult[target[difficult]]
    return Matches(
        classes=truth.classes,
        positives=np.bincount(truth.label[~truth.difficult], minlength=len(truth.classes)),
        row=row,
        label=dets.label[row],
        score=dets.score[row],
        target=target,
        overlap=overlap,
        claimed=_claimed(overlap, target),
        difficult=difficult,
    )


def ranking(dets: Detections) -> Array:
    """The table's rows by class, best first; equal scores by image id, then by x1, y1, x2, y2. -> (N,) int."""
    key = rank_key(dets.label, dets.score)
    order = np.argsort(key)  # a fast sort that leaves ties in any order, then the ties alone by all columns
    new = np.diff(key[order], prepend=-(2**62), append=2**62) != 0  # (N + 1,) a new key starts here
    tied = ~(new[:-1] & new[1:])
    rows = np.sort(order[tied])
    image = np.argsort(np.argsort(np.array(dets.image_ids, np.str_)))[dets.image[rows]]
    order[tied] = rows[np.lexsort((*dets.xyxy[rows].T[::-1], image, key[rows]))]
    return order


def best_truth(dets: Detections, truth: GroundTruth) -> tuple[Array, Array]:
    """Each detection's best IoU with a truth of its image and class, and that truth's row. -> (N,) float64, (N,) int.

    Round k compares every detection with the k-th truth of its image and class, if there are as many: memory stays
    at N rows, and the number of rounds at the most truths of one class in one image.
    """
    order = np.lexsort((truth.difficult, *truth.xyxy.T[::-1], truth.label, truth.image))
    truth_group, group = (b.image.astype(np.int64) * len(b.classes) + b.label for b in (truth, dets))
    count = np.bincount(truth_group, minlength=len(truth.image_ids) * len(truth.classes))
    at, stop = (np.cumsum(count) - count)[group], np.cumsum(count)[group]  # (N,) each one's truths are order[at:stop]
    overlap = np.zeros(len(dets))
    target = np.full(len(dets), -1)
    rows = np.flatnonzero(at < stop)
    while len(rows):
        against = order[at[rows]]
        found = iou_rowwise(dets.xyxy[rows], truth.xyxy[against])
        better = found > overlap[rows]
        overlap[rows[better]], target[rows[better]] = found[better], against[better]
        at[rows] += 1
        rows = rows[at[rows] < stop[rows]]
    return overlap, target


def _claimed(overlap: Array, target: Array) -> Array:
    """For each rank, the best overlap among the earlier ranks with the same target, 0 if there is none. -> (N,)."""
    claimed = np.zeros(len(overlap))
    ranks = np.flatnonzero(target >= 0)
    ranks = ranks[np.argsort(target[ranks], kind="stable")]  # ranks of one truth become neighbours, best first
    of = target[ranks]
    levels, level = np.unique(overlap[ranks], return_inverse=True)
    best = np.maximum.accumulate(of * len(levels) + level)  # a later truth's values are above all of an earlier one's
    again = np.flatnonzero(of[1:] == of[:-1])
    claimed[ranks[again + 1]] = levels[best[again] % max(len(levels), 1)]
    return claimed
