"""AP of every class at every pair of thresholds, from one pass of NMS over the candidates.

A sweep tries F confidences with each of T IoUs of NMS. One cell is what NMS at its IoU leaves, cut
at its confidence and scored. Three facts make one pass enough for all cells:

* NMS at T thresholds is one pass that carries a mask per candidate (evaluate/nms.py).
* The truth that a candidate overlaps most does not depend on which others survive. Only whether it
  is the first to reach that truth does, and one walk down the ranking decides that for all IoUs: a
  mask per truth says where it is taken already (walk_kernel.hits).
* What a confidence leaves is a prefix of the ranking, best first, and neither NMS nor matching
  looks at what comes after. So a confidence is a number: its prefix end, how many score at least
  that much.

1. Run NMS over blocks of images, and look up the truth of each candidate that survives anywhere.
2. Rank each class's survivors, best first, and find the prefix end of each confidence.
3. Count how many survive down to each prefix end: the cells' boxes.
4. Find the hits and their ranks at each IoU: the cells' AP.
5. Do the same with each image counted several times or not at all: AP in resamples and in parts.
6. Hand each cell the numbers of its two thresholds; several cells may share them.

An example of one class, with the IoUs 0.3 and 0.6 (bits 0 and 1) and the confidences 0.5 and 0.2:

    score  mask  truth
    0.9    11    X       a hit at both IoUs
    0.8    10    X       only there at 0.6, and X is taken: a false positive
    0.4    11    Y       a hit at both

The prefix ends are 2 and 3. At (0.2, 0.3) two boxes are left, hits at ranks 1 and 2; at (0.2, 0.6)
three, hits at ranks 1 and 3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evaluate.exceptions import InputError
from evaluate.metrics.matching import best_truth, ranking, require_positives
from evaluate.metrics.voc import Score
from evaluate.nms import survivor_masks
from evaluate.progress import Progress, silent
from evaluate.sweep.class_ap import (
    FALSE_POSITIVE,
    NEUTRAL,
    ClassRanking,
    count_boxes,
    exact_ap,
    find_hits,
    weighted_ap,
)
from evaluate.tables import Array, Detections, GroundTruth, align

IOU_MIN = 0.5  # of a hit


@dataclass(frozen=True)
class GridSettings:
    """What a sweep tries: each of `confs` with each of `ious`, under the caps of `nms`."""

    confs: Sequence[float]
    ious: Sequence[float]
    candidates_max: int = 3000
    keep_max: int = 3000
    eleven_point: bool = False


@dataclass(frozen=True, eq=False)
class Grid:
    """C classes in N cells."""

    classes: tuple[str, ...]
    positives: Array  # (C,) int, truths that count
    cells: Array  # (N, 2) float64, conf and iou
    ap: Array  # (C, N) float64, NaN for a class without truth that counts
    boxes: Array  # (C, N) int
    resampled_map: Array  # (N, R) float64, mAP of R resamples of the images
    part_ap: (
        Array  # (C, N, S) float64, AP in each of S parts of the images, NaN without truth there
    )

    def score(self, n: int) -> Score:
        """What `voc_map` gives in cell n."""
        return Score(self.classes, self.ap[:, n], self.positives, self.boxes[:, n])


def score_grid(
    candidates: Detections,
    truth: GroundTruth,
    settings: GridSettings,
    *,
    resamples: Array,
    parts: Array,
    progress: Progress = silent,
) -> Grid:
    """VOC AP of every class in every cell, exactly `voc_map` of the table that `nms` leaves there.

    resamples (I, R) and parts (I, S), int32, say how often each image counts in each resample of a
    bootstrap, and which images are in each part. A resample without any truth is left out of
    `resampled_map`. Memory beside the candidates: 16 bytes for each of those that survive
    somewhere, and 100 for each of the largest class.

    Raises InputError for thresholds outside [0, 1], or none, and for truth without a box that
    counts.
    """
    axes = _axes(settings)
    require_positives(~truth.difficult)
    candidates = align(candidates, truth)
    positives = np.zeros((len(truth.classes), len(truth.image_ids)), np.int32)
    np.add.at(positives, (truth.label, truth.image), ~truth.difficult)

    shape = (len(truth.classes), len(axes.confs), len(axes.ious))  # (C, F, T)
    ap, boxes = np.full(shape, np.nan), np.empty(shape, np.int64)
    part_ap = np.full((*shape, parts.shape[1]), np.nan)
    total_ap = np.zeros((*shape[1:], resamples.shape[1]))  # over the classes, in each resample
    classes_scored = np.zeros(resamples.shape[1])
    survivors = _survivors(candidates, truth, settings, axes, progress)  # step 1
    with progress("AP of classes", total=len(truth.classes), unit="class") as advance:
        for c, ranked in enumerate(_rankings(candidates, survivors, axes)):  # step 2
            boxes[c] = count_boxes(ranked, ranked.prefix_ends)  # step 3
            if positives[c].any():
                hits = find_hits(ranked, len(truth))
                ap[c] = exact_ap(hits, int(positives[c].sum()), settings.eleven_point)  # step 4
                # step 5
                resampled = weighted_ap(hits, positives[c], resamples, settings.eleven_point)
                part_ap[c] = weighted_ap(hits, positives[c], parts, settings.eleven_point)
                total_ap += np.nan_to_num(resampled)
                classes_scored += positives[c] @ resamples > 0
            advance(1)

    # step 6
    any_truth = classes_scored > 0
    resampled_map = total_ap[:, :, any_truth] / classes_scored[any_truth]
    n = (axes.conf_row, axes.iou_row)
    per_class = (ap[:, *n], boxes[:, *n], resampled_map[n], part_ap[:, *n])
    return Grid(truth.classes, positives.sum(1), axes.cells, *per_class)


@dataclass(frozen=True, eq=False)
class _Axes:
    """The distinct thresholds, and which of them each of N cells has."""

    confs: Array  # (F,) float32, falling, so that their prefixes grow
    ious: Array  # (T,) float64, rising
    cells: Array  # (N, 2) float64, conf and iou as they were given
    conf_row: Array  # (N,)
    iou_row: Array  # (N,)


def _axes(settings: GridSettings) -> _Axes:
    ious, iou_row = np.unique(checked("iou", settings.ious), return_inverse=True)
    minus_confs, conf_row = np.unique(
        -np.float32(checked("conf", settings.confs)), return_inverse=True
    )
    cells = np.array([(conf, iou) for conf in settings.confs for iou in settings.ious], np.float64)
    rows = np.repeat(conf_row, len(iou_row)), np.tile(iou_row, len(conf_row))
    return _Axes(-minus_confs, ious, cells, *rows)


def checked(name: str, values: ArrayLike) -> Array:
    """(n,) float64. Raises InputError unless there are some and all are from 0 to 1."""
    given = np.atleast_1d(np.asarray(values, np.float64))
    if not len(given):
        raise InputError(f"want at least one {name}, there is none")
    bad = ~((given >= 0) & (given <= 1))
    if bad.any():
        raise InputError(f"{name} is {given[bad][0]}, want 0 to 1")
    return given


@dataclass(frozen=True, eq=False)
class _Survivors:
    """The n candidates that survive NMS at any IoU."""

    row: Array  # (n,) uint32, of the candidates
    alive: Array  # (n,) uint64, bit t: survives at IoU t
    target: (
        Array  # (n,) int32, the truth it overlaps enough for a hit, or FALSE_POSITIVE or NEUTRAL
    )


def _survivors(
    candidates: Detections,
    truth: GroundTruth,
    settings: GridSettings,
    axes: _Axes,
    progress: Progress,
) -> _Survivors:
    """Step 1."""
    blocks = survivor_masks(
        candidates,
        np.tile(axes.ious, (len(truth.classes), 1)),
        conf_min=axes.confs[-1],
        candidates_max=settings.candidates_max,
        keep_max=settings.keep_max,
    )
    rows, masks, targets = (
        [np.empty(0, np.uint32)],
        [np.empty(0, np.uint64)],
        [np.empty(0, np.int32)],
    )
    with progress("NMS", unit="block of images") as advance:
        for row, alive in blocks:
            overlap, target = best_truth(candidates.take(row), truth)
            target[overlap < IOU_MIN] = FALSE_POSITIVE
            target[(target >= 0) & truth.difficult[target]] = NEUTRAL
            rows.append(row.astype(np.uint32))
            masks.append(alive)
            targets.append(target.astype(np.int32))
            advance(1)
    return _Survivors(*(np.concatenate(column) for column in (rows, masks, targets)))


def _rankings(candidates: Detections, survivors: _Survivors, axes: _Axes) -> Iterator[ClassRanking]:
    """Step 2, class by class in label order."""
    label = candidates.label[survivors.row]
    by_class = np.argsort(label, kind="stable")
    edges = np.searchsorted(label[by_class], np.arange(len(candidates.classes) + 1))
    for c in range(len(candidates.classes)):
        of_class = by_class[edges[c] : edges[c + 1]]
        table = candidates.take(survivors.row[of_class])
        best_first = ranking(table)
        of_class = of_class[best_first]
        yield ClassRanking(
            survivors.alive[of_class],
            table.image[best_first],
            survivors.target[of_class],
            np.searchsorted(-table.score[best_first], -axes.confs, side="right"),
            len(axes.ious),
        )
