"""The two thresholds that turn candidates into detections: the best pair, and how sure that is.

The grid's best cell is best on the images that it was chosen on, and partly by chance. Two numbers
say by how much, both from weighting images anew (grid.py): an interval of how far each other cell
is behind it, over resamples; and what thresholds chosen on one half of the images score on the
other half.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluate.metrics import bootstrap
from evaluate.nms import nms
from evaluate.progress import Progress, silent
from evaluate.sweep.grid import Grid, GridSettings, checked, score_grid
from evaluate.sweep.sweep_csv import Cell, ClassCell, cell_rank
from evaluate.tables import Array, Detections, GroundTruth

CONFS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
IOUS = (0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75)
HALVINGS = 20


@dataclass(frozen=True)
class HeldOut:
    """mAP on one half of the images, of thresholds chosen on the other: the mean over `halves`."""

    one_cell: float  # the best cell
    by_class: float  # each class's own best cell
    halves: int


@dataclass(frozen=True)
class Sweep:
    cells: list[Cell]  # best first
    by_class: list[ClassCell]  # in label order
    held_out: HeldOut | None  # None where no halving left truth in both halves


def sweep(
    candidates: Detections,
    truth: GroundTruth,
    *,
    confs: Sequence[float] = CONFS,
    ious: Sequence[float] = IOUS,
    candidates_max: int = 3000,
    keep_max: int = 3000,
    eleven_point: bool = False,
    replicates: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> Sweep:
    """VOC mAP at every (conf, iou), what is best for each class, and how much of both is chance.

    A cell's number is exactly `voc_map(apply(candidates, conf, iou), truth).map`. Its interval is
    that of the best cell's mAP less its own over images drawn with replacement, the same for all
    cells, as `bootstrap.difference_with_interval` has it; with 0 replicates there is none. It does
    not know that the best cell was chosen for being best on these images.

    A class's own best cell is that of the highest AP; of equals the one with the lowest conf,
    because a box more at the end never lowers AP and may be a hit elsewhere, then the lowest IoU.
    Its AP is that within a table at one IoU for all: where `keep_max` binds, other IoUs for other
    classes would leave it more or less room.

    Raises InputError on an empty grid, one outside [0, 1] or with more than 64 IoUs, and what
    `voc_map` raises.
    """
    resamples, halves = _weights(truth.image_ids, replicates, seed)
    settings = GridSettings(confs, ious, candidates_max, keep_max, eleven_point)
    grid = score_grid(
        candidates, truth, settings, resamples=resamples, parts=halves, progress=progress
    )
    cells = _cells(grid)
    top = min(range(len(cells)), key=lambda n: cell_rank(cells[n]))
    if replicates:
        cells = _with_intervals(cells, grid.resampled_map[top] - grid.resampled_map)
    by_class = [_class_cell(grid, c, top) for c in range(len(grid.classes))]
    return Sweep(sorted(cells, key=cell_rank), by_class, _held_out(grid))


def apply(
    candidates: Detections,
    conf: float | Array,
    iou: float | Array,
    *,
    candidates_max: int = 3000,
    keep_max: int = 3000,
) -> Detections:
    """What is left of the candidates at one cell: NMS, then score >= conf.

    Rows come grouped by image, best first. conf and iou are one number each, or (C,) one for each
    class; then what a class's conf drops takes up no room under `keep_max`. Scores are float32, so
    conf is rounded to float32 before it is compared: a box scored 0.01 passes conf 0.01.
    """
    checked("conf", conf)
    return nms(candidates, iou, conf_min=conf, candidates_max=candidates_max, keep_max=keep_max)


def _weights(image_ids: tuple[str, ...], replicates: int, seed: int) -> tuple[Array, Array]:
    """How often each image counts in each resample, (I, R), and in each half, (I, 2 * HALVINGS).

    Columns 2 k and 2 k + 1 are the two halves of halving k. Images are drawn in the order of their
    ids, whatever order the table has.
    """
    images = len(image_ids)
    resamples = bootstrap.resample_counts(images, replicates, seed).astype(np.int32)
    alternate = np.tile(np.arange(images, dtype=np.int32) % 2, (HALVINGS, 1))
    half = np.random.default_rng(seed).permuted(alternate, axis=1).T  # (I, HALVINGS)
    place = np.argsort(np.argsort(np.array(image_ids, np.str_)))
    return resamples[place], np.stack([half, 1 - half], axis=2).reshape(images, -1)[place]


def _cells(grid: Grid) -> list[Cell]:
    boxes = grid.boxes.sum(0).tolist()
    return [
        Cell(conf, iou, grid.score(n).map, boxes[n])
        for n, (conf, iou) in enumerate(grid.cells.tolist())
    ]


def _with_intervals(cells: list[Cell], behind: Array) -> list[Cell]:
    """The cells with the interval of how far each is behind, of behind (cells, R) by resample."""
    intervals = np.asarray(np.percentile(behind, [2.5, 97.5], axis=1)).T
    return [
        replace(cell, behind_low=float(low), behind_high=float(high))
        for cell, (low, high) in zip(cells, intervals, strict=True)
    ]


def _class_cell(grid: Grid, c: int, top: int) -> ClassCell:
    """The best cell of class c, cells[top] where it has no truth."""
    n = _best_of_class(grid, grid.ap[c], top)
    conf, iou = grid.cells[n].tolist()
    return ClassCell(grid.classes[c], conf, iou, _or_none(grid.ap[c, n]), int(grid.boxes[c, n]))


def _best_of_class(grid: Grid, ap: Array, top: int) -> int:
    """Which cell is best for a class with this AP (cells,); `top` where it has no truth."""
    confs, ious = grid.cells.T
    return top if np.isnan(ap[0]) else int(np.lexsort((ious, confs, -ap))[0])


def _held_out(grid: Grid) -> HeldOut | None:
    """Choose on each half, score on the other: parts 2 k and 2 k + 1, so part s and part s ^ 1."""
    confs, ious = grid.cells.T
    boxes = grid.boxes.sum(0)
    scores = []
    for s in range(grid.part_ap.shape[2]):
        chosen_on, scored_on = grid.part_ap[:, :, s], grid.part_ap[:, :, s ^ 1]
        if np.isnan(chosen_on).all() or np.isnan(scored_on).all():
            continue
        by_cell_rank = np.lexsort((-confs, ious, boxes, -np.nanmean(chosen_on, axis=0)))
        one = int(by_cell_rank[0])
        own = [_best_of_class(grid, ap, one) for ap in chosen_on]
        own_ap = scored_on[np.arange(len(own)), own]
        scores.append((np.nanmean(scored_on[:, one]), np.nanmean(own_ap)))
    if not scores:
        return None
    one_cell, by_class = np.mean(scores, axis=0).tolist()
    return HeldOut(one_cell, by_class, len(scores))


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
