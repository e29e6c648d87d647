"""AP of every class at every pair of thresholds, from one pass of NMS over the candidates."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evaluate.exceptions import InputError
from evaluate.loops import Kernels
from evaluate.metrics.matching import best_truth, ranking
from evaluate.metrics.voc import Score, average_precision
from evaluate.nms import survivor_masks
from evaluate.tables import Array, Detections, GroundTruth, align

walk = Kernels("evaluate.sweep.walk_kernel")

IOU_MIN = 0.5  # of a hit
NOTHING, NEUTRAL = -1, -2  # targets of a false alarm, and of what counts neither way
RESAMPLES_AT_ONCE = 64  # ways of counting the images in one walk


@dataclass(frozen=True, eq=False)
class Grid:
    """C classes in N cells."""

    classes: tuple[str, ...]
    positives: Array  # (C,) int, truths that count
    cells: Array  # (N, 2) float64, conf and iou
    ap: Array  # (C, N) float64, NaN for a class without truth that counts
    boxes: Array  # (C, N) int
    resampled_map: Array  # (N, R) float64, mAP with the images drawn in each of R ways
    part_ap: Array  # (C, N, S) float64, AP in each of S parts of the images, NaN where that has no truth of the class

    def score(self, n: int) -> Score:
        """What `voc_map` gives in cell n."""
        return Score(self.classes, self.ap[:, n], self.positives, self.boxes[:, n])


def score_grid(
    candidates: Detections,
    truth: GroundTruth,
    *,
    confs: Sequence[float],
    ious: Sequence[float],
    resamples: Array,
    parts: Array,
    candidates_max: int = 3000,
    keep_max: int = 3000,
    eleven_point: bool = False,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = lambda steps: steps,
) -> Grid:
    """VOC AP of every class in every cell, exactly as `voc_map` of the table that `nms` leaves there.

    Three things are done once for all cells. NMS carries a mask of the IoUs. A candidate's truth does not depend on
    what survives, only whether it is the first to reach it does, and the walk down a class's ranking decides that for
    all IoUs. A confidence cuts the ranking.

    resamples (I, R) and parts (I, S), int32, say how often each image counts in each replicate of a bootstrap, and which
    images are in each part. A draw without any truth is left out of `drawn`. `progress` wraps first the blocks of
    images, then the classes, as tqdm does. Memory beside the candidates is 16 bytes for each of those that survive
    somewhere, and 100 for each of the largest class.
    """
    limits, limit_at = np.unique(checked("iou", ious), return_inverse=True)
    levels, level_at = np.unique(
        -np.float32(checked("conf", confs)), return_inverse=True
    )  # strictest first
    if truth.difficult.all():
        raise InputError(
            "the truth has no box that counts (none, or all difficult): there is nothing to score against"
        )
    candidates = align(candidates, truth)
    caps = {"conf_min": -levels[-1], "candidates_max": candidates_max, "keep_max": keep_max}
    rows, alive, target = _pool(
        candidates, truth, progress, np.tile(limits, (len(truth.classes), 1)), caps
    )
    label = candidates.label[rows]
    by_class = np.argsort(label, kind="stable")
    edges = np.searchsorted(label[by_class], np.arange(len(truth.classes) + 1))
    shape = (len(truth.classes), len(levels), len(limits))
    ap, boxes = np.full(shape, np.nan), np.empty(shape, np.int64)
    drawn, scored = np.zeros((*shape[1:], resamples.shape[1])), np.zeros(resamples.shape[1])
    in_parts = np.full((*shape, parts.shape[1]), np.nan)
    positives = np.zeros((len(truth.classes), len(truth.image_ids)), np.int32)
    np.add.at(positives, (truth.label, truth.image), ~truth.difficult)
    for c in progress(range(len(truth.classes))):
        mine = by_class[edges[c] : edges[c + 1]]
        table = candidates.take(rows[mine])
        best_first = ranking(table)
        mine = mine[best_first]
        ends = np.searchsorted(-table.score[best_first], levels, side="right")
        ranked = _Ranking(alive[mine], table.image[best_first], target[mine], ends, len(limits))
        boxes[c] = _boxes(ranked)
        if positives[c].any():
            ap[c], found, in_parts[c] = _precisions(
                ranked, len(truth), positives[c], (resamples, parts), eleven_point
            )
            drawn += np.nan_to_num(found)
            scored += positives[c] @ resamples > 0
    drawn = drawn[:, :, scored > 0] / scored[scored > 0]
    cells = np.array([(conf, iou) for conf in confs for iou in ious], np.float64)
    at = (np.repeat(level_at, len(limit_at)), np.tile(limit_at, len(level_at)))
    return Grid(
        truth.classes,
        positives.sum(1),
        cells,
        ap[:, *at],
        boxes[:, *at],
        drawn[at],
        in_parts[:, *at],
    )


def checked(name: str, values: ArrayLike) -> Array:
    """(n,) float64. Raises InputError unless there are some and all are from 0 to 1."""
    given = np.atleast_1d(np.asarray(values, np.float64))
    if not len(given):
        raise InputError(f"want at least one {name}, there is none")
    bad = ~((given >= 0) & (given <= 1))
    if bad.any():
        raise InputError(f"{name} is {given[bad][0]}, want 0 to 1")
    return given


def _pool(
    candidates: Detections, truth: GroundTruth, progress: Any, limits: Array, caps: dict[str, Any]
) -> tuple[Array, Array, Array]:
    """The candidates that survive at any limit. -> rows (n,) uint32, alive (n,) uint64, target (n,) int32.

    Target is the row of the truth that it overlaps most, if that is enough for a hit, or NOTHING or NEUTRAL.
    """
    columns: list[list[Array]] = [
        [np.empty(0, np.uint32)],
        [np.empty(0, np.uint64)],
        [np.empty(0, np.int32)],
    ]
    for rows, alive in progress(survivor_masks(candidates, limits, **caps)):
        overlap, target = best_truth(candidates.take(rows), truth)
        target[overlap < IOU_MIN] = NOTHING
        target[(target >= 0) & truth.difficult[target]] = NEUTRAL
        for column, part in zip(columns, (rows, alive, target), strict=True):
            column.append(part.astype(column[0].dtype))
    rows, alive, target = (np.concatenate(column) for column in columns)
    return rows, alive, target


@dataclass(frozen=True, eq=False)
class _Ranking:
    """The n candidates of one class that survive at any of T limits, best first."""

    alive: Array  # (n,) uint64, bit t: survives at limit t
    image: Array  # (n,) int
    target: Array  # (n,) int
    ends: Array  # (F,) how many there are at each confidence, rising
    limits: int  # T


def _boxes(ranked: _Ranking) -> Array:
    """How many there are in each cell. -> (F, T) int."""
    boxes: Array = walk.count_survivors(
        ranked.alive, *_each_once(ranked.image), ranked.ends, ranked.limits
    )[:, :, 0]
    return boxes


def _precisions(
    ranked: _Ranking, truths: int, positives: Array, weights: tuple[Array, ...], eleven_point: bool
) -> list[Array]:
    """AP in each cell (F, T), then with the images counted by each of `weights`, (I, R) -> (F, T, R).

    positives (I,): truths of the class in each image.
    """
    counted = np.where(ranked.target == NEUTRAL, np.uint64(0), ranked.alive)
    hit = walk.hits(counted, ranked.target, truths)
    at = np.flatnonzero(hit)  # (H,)
    hit, image = hit[at], ranked.image[at]
    prefixes = np.searchsorted(at, ranked.ends)
    ranks = walk.count_survivors(counted, *_each_once(ranked.image), at + 1, ranked.limits)[
        :, :, 0
    ]  # (H, T)
    ap = np.empty((len(prefixes), ranked.limits))
    for t in range(ranked.limits):
        hits = (hit >> np.uint64(t) & np.uint64(1)).astype(np.bool_)
        found_at = np.concatenate([[0], ranks[hits, t]])  # the rank of the first, second ... hit
        ranking_hits = np.zeros(found_at[-1], np.bool_)
        ranking_hits[found_at[1:] - 1] = True
        ends = found_at[np.concatenate([[0], np.cumsum(hits)])[prefixes]]
        for f, end in enumerate(ends):
            if f and end == ends[f - 1]:
                ap[f, t] = ap[f - 1, t]
            else:
                points = 11 if eleven_point else None
                ap[f, t] = average_precision(
                    ranking_hits[:end], int(positives.sum()), recall_points=points
                )
    recounted = []
    for all_weights in weights:
        there = positives @ all_weights  # (R,)
        found = np.empty((*ap.shape, len(there)))
        for start in range(0, len(there), RESAMPLES_AT_ONCE):
            some = slice(start, start + RESAMPLES_AT_ONCE)
            weight = np.ascontiguousarray(all_weights[:, some])
            seen = walk.count_survivors(counted, ranked.image, weight, at + 1, ranked.limits)
            found[:, :, some] = walk.average_precision(
                hit, seen, weight[image], prefixes, there[some], eleven_point
            )
        found[:, :, there == 0] = np.nan
        recounted.append(found)
    return [ap, *recounted]


def _each_once(image: Array) -> tuple[Array, Array]:
    """Images and their weights (1, 1) that make every candidate count as one."""
    return np.zeros_like(image), np.ones((1, 1), np.int32)
