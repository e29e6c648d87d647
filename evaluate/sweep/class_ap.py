"""Boxes and AP of one class in all cells of a grid: steps 3 to 5 of grid.py.

A confidence is a prefix of the class's ranking, and an IoU a bit of each candidate's mask. So a
cell is "the first so many candidates that have bit t", and its AP that of the hits among them.
"""

from dataclasses import dataclass, replace

import numpy as np

from evaluate.loops import Kernels, compiled
from evaluate.metrics.average_precision import average_precision, weighted_average_precision
from evaluate.tables import Array

walk = Kernels("evaluate.sweep.walk_kernel")

FALSE_POSITIVE, NEUTRAL = -1, -2  # targets of candidates that can hit nothing
RESAMPLES_AT_ONCE = 256  # weightings of the images in one walk


@dataclass(frozen=True, eq=False)
class ClassRanking:
    """The n survivors of one class, best first, for F confidences and T IoUs."""

    alive: Array  # (n,) uint64, bit t: survives at IoU t
    image: Array  # (n,) int
    target: Array  # (n,) int, as in _Survivors
    prefix_ends: Array  # (F,) how many have each confidence, rising
    ious: int  # T


def count_boxes(ranked: ClassRanking, ends: Array) -> Array:
    """How many of the first ends[e] survive at each IoU. (E,) -> (E, T) int."""
    each_once = np.zeros_like(ranked.image), np.ones((1, 1), np.int32)
    counts: Array = walk.count_survivors(ranked.alive, *each_once, ends, ranked.ious)
    return counts[:, :, 0]


@dataclass(frozen=True, eq=False)
class ClassHits:
    """The H of a class's survivors that are a hit at any IoU."""

    ranked: ClassRanking  # less what is neutral
    place: Array  # (H,) in the ranking, rising
    # T times: which of the H are hits at that IoU (h,), how many of those each confidence has (F,)
    at_iou: list[tuple[Array, Array]]


def find_hits(ranked: ClassRanking, truths: int) -> ClassHits:
    """Step 4, first half: hits are the same for every confidence, which only cuts their list."""
    alive = np.where(ranked.target == NEUTRAL, np.uint64(0), ranked.alive)
    mask = walk.hits(alive, ranked.target, truths)
    place = np.flatnonzero(mask)
    prefix_ends = np.searchsorted(place, ranked.prefix_ends)
    at_iou = []
    for t in range(ranked.ious):
        is_hit = mask[place] >> np.uint64(t) & np.uint64(1) > 0  # (H,)
        hits_before = np.append(0, np.cumsum(is_hit))
        at_iou.append((np.flatnonzero(is_hit), hits_before[prefix_ends]))
    return ClassHits(replace(ranked, alive=alive), place, at_iou)


def exact_ap(hits: ClassHits, positives: int, eleven_point: bool) -> Array:
    """Step 4: AP in each cell. -> (F, T) float64."""
    ranks = count_boxes(hits.ranked, hits.place + 1)  # (H, T)
    ap = np.empty((len(hits.ranked.prefix_ends), hits.ranked.ious))
    for t, (rows, prefix_ends) in enumerate(hits.at_iou):
        hit_ranks = ranks[rows, t]
        by_end = {  # confidences that leave the same hits have the same AP
            end: average_precision(
                hit_ranks[:end], positives, recall_points=11 if eleven_point else None
            )
            for end in set(prefix_ends.tolist())
        }
        ap[:, t] = [by_end[end] for end in prefix_ends.tolist()]
    return ap


def weighted_ap(hits: ClassHits, positives: Array, weights: Array, eleven_point: bool) -> Array:
    """Step 5: AP in each cell under R weightings of the images. -> (F, T, R) float64.

    weights (I, R); positives (I,): truths of the class in each image. NaN where the weights leave
    no truth.
    """
    ranked = hits.ranked
    truths = positives @ weights  # (R,)
    ap = np.empty((len(ranked.prefix_ends), ranked.ious, len(truths)))
    sum_up = compiled(weighted_average_precision)
    for start in range(0, len(truths), RESAMPLES_AT_ONCE):
        now = slice(start, start + RESAMPLES_AT_ONCE)
        weight = np.ascontiguousarray(weights[:, now])
        ranks = walk.count_survivors(
            ranked.alive, ranked.image, weight, hits.place + 1, ranked.ious
        )  # (H, T, 64)
        of_hits = weight[ranked.image[hits.place]]  # (H, 64)
        for t, (rows, prefix_ends) in enumerate(hits.at_iou):
            ap[:, t, now] = sum_up(
                ranks[rows, t], of_hits[rows], prefix_ends, truths[now], eleven_point
            )
    ap[:, :, truths == 0] = np.nan
    return ap
