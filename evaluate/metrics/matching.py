"""Which truth each detection is judged by: PASCAL VOC's rule, for every IoU threshold at once.

By that rule a detection is judged by the truth of its image and class that it overlaps most, taken
or not. It is a hit where that overlap reaches the threshold and no better-ranked detection has hit
the same truth. The truth does not depend on the threshold, so one pass serves all thresholds:

1. Find each detection's best truth and its overlap with it.
2. Rank the detections of each class, best first.
3. Walk down the ranking and note for each detection what is `claimed`: the best overlap that an
   earlier one has with the same truth.
4. A detection is a hit for the thresholds in (claimed, overlap]. Above its overlap it does not
   reach; at or below what is claimed the earlier one reaches too, and so one of them came first.

An example: three detections of one truth, by falling score.

    overlap  claimed   hit for thresholds
    0.6      0         (0, 0.6]
    0.9      0.6       (0.6, 0.9]     above 0.6 the first one reaches no more
    0.8      0.9       none           wherever it reaches, the second one does

Ties. A score must not depend on the order in which rows, images or classes happen to stand. So
equal scores rank by image id, then by x1, y1, x2, y2; of equally overlapped truths the first by
box, then one that is not difficult, is taken.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from evaluate.exceptions import InputError
from evaluate.loops import loop
from evaluate.tables import Array, Boxes, Detections, GroundTruth, align, rank_key


class Near(NamedTuple):
    """The n of N ranked detections that overlap a truth: no other is ever a hit or neutral."""

    rank: Array  # (n,) int, place among the N, rising
    target: Array  # (n,) int, row of the truth it overlaps most
    overlap: Array  # (n,) float64, IoU with that truth
    claimed: Array  # (n,) float64, best overlap of a better-ranked one with that truth, or 0
    difficult: Array  # (n,) bool, that truth is difficult


@dataclass(frozen=True, eq=False)
class Matches:
    """N detections by class, best first within the class, each with the truth it is judged by."""

    classes: tuple[str, ...]
    positives: Array  # (C,) int, truths that count: those not difficult
    table: Detections
    row: Array  # (N,) int, row of the detection in the table
    near: Near

    @cached_property
    def label(self) -> Array:
        """(N,) row of classes, rising."""
        return self.table.label[self.row]

    @cached_property
    def score(self) -> Array:
        """(N,) float32, falling within a class."""
        return self.table.score[self.row]

    @cached_property
    def stops(self) -> Array:
        """(C,) int: how many detections there are of a class and those before it."""
        return np.searchsorted(
            self.label, np.arange(len(self.classes), dtype=self.label.dtype), side="right"
        )

    @cached_property
    def may_hit(self) -> Near:
        """Those of `near` that are a hit at some threshold."""
        near = self.near
        return Near(*(column[(near.claimed < near.overlap) & ~near.difficult] for column in near))

    @cached_property
    def may_be_neutral(self) -> Near:
        """Those of `near` that are neutral at some threshold."""
        return Near(*(column[self.near.difficult] for column in self.near))

    @property
    def target(self) -> Array:
        """(N,) int, as in Near, -1 where it overlaps none."""
        target = np.full(len(self.row), -1)
        target[self.near.rank] = self.near.target
        return target

    @property
    def overlap(self) -> Array:
        """(N,) float64, as in Near, 0 where it overlaps none."""
        overlap = np.zeros(len(self.row))
        overlap[self.near.rank] = self.near.overlap
        return overlap

    def hits(self, iou_min: float) -> Array:
        """(N,) bool: overlaps its truth by at least `iou_min`, and no better-ranked one does."""
        return self._as_mask(self.hit_ranks(iou_min))

    def neutral(self, iou_min: float) -> Array:
        """(N,) bool: overlaps a difficult truth by at least `iou_min`: counts as nothing."""
        return self._as_mask(self.neutral_ranks(iou_min))

    def hit_ranks(self, iou_min: float) -> Array:
        """Where `hits` is true, rising."""
        near = self.may_hit
        return near.rank[(near.claimed < iou_min) & (near.overlap >= iou_min)]

    def neutral_ranks(self, iou_min: float) -> Array:
        """Where `neutral` is true, rising."""
        near = self.may_be_neutral
        return near.rank[near.overlap >= iou_min]

    def above(self, conf: float) -> Self:
        """The matches of the detections with score >= conf, as if the others had never been there.

        Holds because a match depends on better-ranked detections only.
        """
        kept = self.score >= np.float32(conf)
        near = Near(*(column[kept[self.near.rank]] for column in self.near))
        near = near._replace(rank=np.cumsum(kept)[near.rank] - 1)
        return replace(self, row=self.row[kept], near=near)

    def _as_mask(self, ranks: Array) -> Array:
        mask = np.zeros(len(self.row), np.bool_)
        mask[ranks] = True
        return mask


def match(dets: Detections, truth: GroundTruth) -> Matches:
    """Give each detection the truth that it is judged by, as the top of this file explains.

    Source: VOCdevkit, VOCevaldet.m. Differs: ties, which the devkit takes in file order. Raises
    InputError when the tables' images or classes differ (`tables.align`).
    """
    dets = align(dets, truth)
    overlap, target = best_truth(dets, truth)  # step 1
    row = ranking(dets)  # step 2
    rank = np.flatnonzero((target >= 0)[row])
    overlap, target = overlap[row[rank]], target[row[rank]]
    claimed = loop(_claimed, len(rank))(overlap, target, len(truth))  # step 3
    near = Near(rank, target, overlap, claimed, truth.difficult[target])
    positives = np.bincount(truth.label[~truth.difficult], minlength=len(truth.classes))
    return Matches(truth.classes, positives, dets, row, near)


def require_positives(counts: Array) -> None:
    """Raise InputError unless some truth counts: `counts` is not 0 anywhere."""
    if not counts.any():
        raise InputError(
            "the truth has no box that counts (none, or all difficult): "
            "there is nothing to score against"
        )


def ranking(dets: Detections) -> Array:
    """The table's rows by class, best first. -> (N,) int.

    Equal scores go by image id, then by x1, y1, x2, y2. Class, score and image are packed into one
    integer wherever they fit, and so is the row number, because integers sort fastest:

        key = class << 32 - bits of the score        (tables.rank_key)
        key << bits | row                            images in order of their ids: one plain sort,
                                                     as rows of equal keys are in that order already
        key * images + image                         else: an argsort
        neither fits                                 a lexsort by all columns

    The two fast ways leave equal scores within one image, which are then sorted by box.
    """
    image = image_by_id(dets)
    key = rank_key(dets.label, dets.score)
    bits = len(dets).bit_length()
    room = 2**31 // max(len(dets.classes), 1)  # for what goes beside the key into one integer
    order: Array
    if 2**bits <= room and (image[1:] >= image[:-1]).all():
        key <<= bits
        key |= np.arange(len(dets))
        key.sort()  # three times as fast as an argsort
        order = key & (2**bits - 1)
        key >>= bits
    elif len(dets.image_ids) <= room:
        key *= len(dets.image_ids)
        key += image
        order = np.argsort(key)
        key = key[order]
    else:
        return np.lexsort((*dets.xyxy.T[::-1], image, key))

    ranked_image = image[order]
    twin = (key[1:] == key[:-1]) & (ranked_image[1:] == ranked_image[:-1])
    if twin.any():
        tied = np.flatnonzero(np.append(twin, False) | np.append(False, twin))
        rows = order[tied]
        by_box = (rows, *dets.xyxy[rows].T[::-1], ranked_image[tied], key[tied])
        order[tied] = rows[np.lexsort(by_box)]
    return order


def image_by_id(table: Boxes) -> Array:
    """Place of each row's image among the sorted image ids. -> (N,) int."""
    by_id = sorted(range(len(table.image_ids)), key=table.image_ids.__getitem__)
    if by_id == list(range(len(by_id))):
        return table.image
    place = np.empty(len(by_id), np.int32)
    place[by_id] = np.arange(len(by_id))
    return place[table.image]


def best_truth(dets: Detections, truth: GroundTruth) -> tuple[Array, Array]:
    """Each detection's best IoU with a truth of its image and class, and that truth's row.

    -> (N,) float64, (N,) int; 0 and -1 without overlap. IoU is that of `boxes.iou`, to the bit.
    """
    group = truth.image.astype(np.int64) * len(truth.classes) + truth.label
    count = np.bincount(group, minlength=len(truth.image_ids) * len(truth.classes))
    edges = np.append(
        0, np.cumsum(count)
    )  # truths of a group: order[edges[group] : edges[group + 1]]
    order = np.argsort(group, kind="stable")
    box = np.column_stack([truth.xyxy, truth.difficult])[order].astype(np.float64)  # (M, 5)
    best: tuple[Array, Array] = loop(_best, len(dets))(
        dets.image, dets.label, dets.xyxy, len(truth.classes), edges, order, box
    )
    return best


def _best(
    image: Any, label: Any, xyxy: Any, classes: int, edges: Any, order: Any, truth: Any
) -> Any:
    """`best_truth` by truths (M, 5), x1, y1, x2, y2, difficult: of equally overlapped the least.

    It runs interpreted too, where a call for each pair would cost more than the arithmetic, so what
    `boxes_kernel` has for kernels stands here once more.
    """
    overlap, target = np.zeros(len(image)), np.full(len(image), -1)

    # the rows with any truth to compare; listed without a branch that the CPU would have to guess
    rows, n = np.empty(len(image), np.int64), 0
    for row in range(len(image)):
        group = np.int64(image[row]) * classes + label[row]
        rows[n] = row
        n += edges[group] < edges[group + 1]

    for row in rows[:n]:
        group = np.int64(image[row]) * classes + label[row]
        x1, y1 = np.float64(xyxy[row, 0]), np.float64(xyxy[row, 1])
        x2, y2 = np.float64(xyxy[row, 2]), np.float64(xyxy[row, 3])
        most, best = 0.0, -1
        for j in range(edges[group], edges[group + 1]):
            u1, v1, u2, v2 = truth[j, 0], truth[j, 1], truth[j, 2], truth[j, 3]
            shared = max(min(x2, u2) - max(x1, u1), 0.0) * max(min(y2, v2) - max(y1, v1), 0.0)
            union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared
            iou = shared / (union if union > 0 else 1.0)
            if iou > 0 and iou == most:  # a tie: compare column by column
                column = 0
                while column < 4 and truth[j, column] == truth[best, column]:
                    column += 1
                if truth[j, column] < truth[best, column]:
                    best = j
            elif iou > most:
                most, best = iou, j
        if best >= 0:
            overlap[row], target[row] = most, order[best]
    return overlap, target


def _claimed(overlap: Any, target: Any, truths: int) -> Any:
    """Step 3: the best overlap among earlier ranks with the same target, or 0. (n,) -> (n,)."""
    best = np.zeros(truths)
    claimed = np.zeros(len(overlap))
    for i in range(len(overlap)):
        claimed[i] = best[target[i]]
        best[target[i]] = max(best[target[i]], overlap[i])
    return claimed
