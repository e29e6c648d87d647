"""Which truth each detection finds: PASCAL VOC's rule, for every overlap threshold and confidence at once."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from evaluate.exceptions import InputError
from evaluate.loops import loop
from evaluate.tables import Array, Boxes, Detections, GroundTruth, align, rank_key


class Near(NamedTuple):
    """Those n of N ranked detections that overlap a truth at all: no other is a hit or neutral at any threshold."""

    rank: Array  # (n,) int, place among the N, rising
    target: Array  # (n,) int, row of the truth it overlaps most
    overlap: Array  # (n,) float64, IoU with that truth
    claimed: Array  # (n,) float64, the best overlap that a better-ranked detection has with that truth, or 0
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
        """(N,) bool: overlaps its truth by at least `iou_min`, and no better-ranked detection does."""
        return self._at(self.hit_ranks(iou_min))

    def neutral(self, iou_min: float) -> Array:
        """(N,) bool: overlaps a difficult truth by at least `iou_min`, and so counts as nothing."""
        return self._at(self.neutral_ranks(iou_min))

    def hit_ranks(self, iou_min: float) -> Array:
        """Where `hits` is true, rising."""
        some = self.may_hit
        return some.rank[(some.claimed < iou_min) & (some.overlap >= iou_min)]

    def neutral_ranks(self, iou_min: float) -> Array:
        """Where `neutral` is true, rising."""
        some = self.may_be_neutral
        return some.rank[some.overlap >= iou_min]

    def above(self, conf: float) -> Self:
        """The matches of the detections with score >= conf, as if the others had never been there.

        Holds because a match depends only on better-ranked detections.
        """
        kept = self.score >= np.float32(conf)
        near = Near(*(column[kept[self.near.rank]] for column in self.near))
        near = near._replace(rank=np.cumsum(kept)[near.rank] - 1)
        return replace(self, row=self.row[kept], near=near)

    def _at(self, ranks: Array) -> Array:
        at = np.zeros(len(self.row), np.bool_)
        at[ranks] = True
        return at


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
    rank = np.flatnonzero((target >= 0)[row])
    overlap, target = overlap[row[rank]], target[row[rank]]
    claimed = loop(_claimed, len(rank))(overlap, target, len(truth))
    positives = np.bincount(truth.label[~truth.difficult], minlength=len(truth.classes))
    return Matches(
        truth.classes,
        positives,
        dets,
        row,
        Near(rank, target, overlap, claimed, truth.difficult[target]),
    )


def require_positives(counts: Array) -> None:
    """Raise InputError unless some truth counts: `counts` is not 0 anywhere."""
    if not counts.any():
        raise InputError(
            "the truth has no box that counts (none, or all difficult): "
            "there is nothing to score against"
        )


def ranking(dets: Detections) -> Array:
    """The table's rows by class, best first; equal scores by image id, then by x1, y1, x2, y2. -> (N,) int."""
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
        order = np.lexsort((*dets.xyxy.T[::-1], image, key))
        return order
    seen = image[order]
    twin = (key[1:] == key[:-1]) & (
        seen[1:] == seen[:-1]
    )  # also by box: these are in any order so far
    if twin.any():
        tied = np.flatnonzero(np.append(twin, False) | np.append(False, twin))
        rows = order[tied]
        order[tied] = rows[np.lexsort((rows, *dets.xyxy[rows].T[::-1], seen[tied], key[tied]))]
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
    """Each detection's best IoU with a truth of its image and class, and that truth's row. -> (N,) float64, (N,) int.

    Without overlap 0 and -1. IoU is that of `boxes.iou`, to the bit.
    """
    group = truth.image.astype(np.int64) * len(truth.classes) + truth.label
    count = np.bincount(group, minlength=len(truth.image_ids) * len(truth.classes))
    edges = np.append(
        0, np.cumsum(count)
    )  # the truths of a group are order[edges[group] : edges[group + 1]]
    order = np.argsort(group, kind="stable")
    of_truth = (
        edges,
        order,
        np.column_stack([truth.xyxy, truth.difficult])[order].astype(np.float64),
    )
    found: tuple[Array, Array] = loop(_best, len(dets))(
        dets.image, dets.label, dets.xyxy, len(truth.classes), *of_truth
    )
    return found


def _best(
    image: Any, label: Any, xyxy: Any, classes: int, edges: Any, order: Any, truth: Any
) -> Any:
    """`best_truth` by truths (M, 5), x1, y1, x2, y2, difficult: of equally overlapped ones the least by these."""
    overlap, target = np.zeros(len(image)), np.full(len(image), -1)
    rows, n = (
        np.empty(len(image), np.int64),
        0,
    )  # those with any truth to compare: listed without a branch to guess
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
            if iou > 0 and iou == most:
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
    """For each rank, the best overlap among the earlier ranks with the same target, 0 if there is none. -> (n,)."""
    best = np.zeros(truths)
    claimed = np.zeros(len(overlap))
    for i in range(len(overlap)):
        claimed[i] = best[target[i]]
        best[target[i]] = max(best[target[i]], overlap[i])
    return claimed
