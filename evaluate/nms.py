"""Greedy non-maximum suppression over a table, at up to 64 IoU thresholds in one pass.

NMS walks the boxes of one image and class from the best score down and keeps a box unless a kept
one overlaps it by more than `iou_max`. A sweep asks for that at many values of `iou_max`. The
order of the boxes and the IoU of any two are the same for all of them; only "kept or dropped"
differs. So one pass carries that answer as a mask, a uint64 for each row: bit t says that the row
survives at threshold t.

1. Sort the rows by image, best first.
2. Give each row a mask with all T bits set.
3. Against each better row, which it overlaps by o, say: the thresholds below o drop it, but only
   those at which the better row survives itself: mask &= ~(its mask & bits of thresholds < o).
4. A row whose mask is 0 survives nowhere: it is dropped and suppresses nothing.
5. Apply `keep_max` to each bit by itself: clear it where that many better rows of the image
   have it.

An example. The thresholds 0.4, 0.5 and 0.7 are bits 0, 1 and 2, the highest written first. Boxes
A, B, C come in this order; IoU(A, B) = IoU(B, C) = 0.6 and IoU(A, C) = 1/3. The thresholds below
0.6 are the bits 011.

    A  111                            nothing is better
    B  111 & ~(111 & 011) = 100       A drops it at 0.4 and 0.5; only 0.7 keeps it
    C  111 & ~(100 & 011) = 111       B would drop it at 0.4 and 0.5, but is not there itself

At 0.4 and 0.5 A and C remain, at 0.7 all three: what three passes of plain NMS give.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from evaluate.exceptions import InputError
from evaluate.loops import Kernels
from evaluate.tables import Array, Detections

kernel = Kernels("evaluate.nms_kernel")

BLOCK = 1 << 20  # rows that are sorted at once
BLOCK_IMAGES = 1 << 12  # images that are sorted at once
THRESHOLDS_MAX = 64  # bits of a mask
ONE = np.float32(1).view(np.uint32)  # bits of floats from 0 up order as the floats do


class ScoredBoxes(Protocol):
    """What NMS reads of a table of N boxes: `Detections` has it, and so has an ensemble's pool."""

    @property
    def image_ids(self) -> tuple[str, ...]: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def image(self) -> Array: ...  # (N,) int, row of image_ids
    @property
    def label(self) -> Array: ...  # (N,) int, row of classes
    @property
    def score(self) -> Array: ...  # (N,) float32
    @property
    def xyxy(self) -> Array: ...  # (N, 4) float32


def nms(
    dets: Detections,
    iou_max: float | Array,
    *,
    conf_min: float | Array = 0.0,
    candidates_max: int = 3000,
    keep_max: int = 3000,
) -> Detections:
    """Per image and class, drop each box whose IoU with a better kept box is above `iou_max`.

    The best `candidates_max` boxes of an image enter, less those with a score below `conf_min`;
    the best `keep_max` of those that survive remain. Both caps count all classes together. Either
    threshold is one number, or one for each class, (C,). Rows come back grouped by image, best
    first; equal scores rank in table order. IoU is float64 on the boxes as they are: a class
    offset added to them, as other implementations have it, would round.

    Suppression and both caps only ever act from a higher score on a lower one, so `nms(dets)` cut
    at a score equals `nms` of dets cut at that score: a sweep over confidences needs one call for
    all.

    Raises InputError when iou_max is outside [0, 1].
    """
    iou_thresholds = np.broadcast_to(iou_max, len(dets.classes))[:, None]  # (C, 1)
    blocks = survivor_masks(
        dets, iou_thresholds, conf_min=conf_min, candidates_max=candidates_max, keep_max=keep_max
    )
    rows = [rows for rows, _ in blocks]
    return dets.take(np.concatenate(rows) if rows else np.empty(0, np.int64))


def survivor_masks(
    boxes: ScoredBoxes,
    iou_thresholds: Array,
    *,
    conf_min: float | Array = 0.0,
    candidates_max: int = 3000,
    keep_max: int = 3000,
) -> Iterator[tuple[Array, Array]]:
    """What `nms` keeps at T thresholds at once: the rows that survive at any of them, and at which.

    iou_thresholds: (C, T), T values of iou_max for each class, rising. Yields one pair per block
    of images, in the images' order: rows (n,) int64, by image, best first; alive (n,) uint64, bit
    t of which says that the row survives at threshold t. Each bit is what a pass with that
    threshold alone would give.

    Raises InputError for thresholds outside [0, 1], or more than 64 of them.
    """
    iou_thresholds = np.ascontiguousarray(iou_thresholds, np.float64)
    outside = ~((iou_thresholds >= 0) & (iou_thresholds <= 1))
    if outside.any():
        raise InputError(f"iou_max is {iou_thresholds[outside][0]}, want 0 to 1")
    if iou_thresholds.shape[1] > THRESHOLDS_MAX:
        raise InputError(
            f"want at most {THRESHOLDS_MAX} IoU thresholds at once, there are "
            f"{iou_thresholds.shape[1]}"
        )
    conf_mins = np.ascontiguousarray(np.broadcast_to(np.float32(conf_min), len(boxes.classes)))

    for rows in image_blocks(boxes.image, len(boxes.image_ids), BLOCK):
        rows = rows[_by_image_best_first(boxes.image[rows], boxes.score[rows])]  # step 1
        columns = (boxes.image[rows], boxes.label[rows], boxes.score[rows], boxes.xyxy[rows])
        alive = kernel.alive_masks(*columns, iou_thresholds, conf_mins, candidates_max, keep_max)
        survives = alive > 0
        yield rows[survives], alive[survives]


def image_blocks(image: Array, images: int, rows_max: int) -> Iterator[Array]:
    """The rows of whole images, in the images' order, one block at a time. -> (n,) int64 each.

    A block has at most `rows_max` rows and 4096 images, unless a single image has more rows.
    """
    in_order = not (image[1:] < image[:-1]).any()
    rows = np.arange(len(image)) if in_order else np.argsort(image, kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(image, minlength=images))])  # (images + 1,)
    start = 0
    while edges[start] < len(rows):
        fits = np.searchsorted(edges, edges[start] + rows_max, side="right") - 1
        stop = max(start + 1, min(fits, start + BLOCK_IMAGES))
        yield rows[edges[start] : edges[stop]]
        start = stop


def _by_image_best_first(image: Array, score: Array) -> Array:
    """The order by image, then falling score; equal scores stay in place. (n,), (n,) -> (n,) int64.

    Image, score and row fit into one integer, and integers that all differ sort several times
    faster than rows that must be moved stably. A float from 0 to 1 has the order of its bits,
    which fit into 30; 12 bits number a block's images, 22 its rows:

        key = image << 52 | (bits of 1.0 - bits of the score) << 22 | row

    Sort the keys, and their low bits are the rows in order.
    """
    if not len(image):
        return np.empty(0, np.int64)
    digits = len(image).bit_length()
    better = ONE - (score + np.float32(0)).view(np.uint32)  # the sum turns -0.0 into 0.0
    block_image = (image - image.min()).astype(np.uint64)
    key = (block_image << 30 | better) << digits | np.arange(len(image), dtype=np.uint64)
    key.sort()
    order: Array = key & np.uint64((1 << digits) - 1)
    return order.astype(np.int64)
