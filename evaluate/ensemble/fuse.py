"""Several detectors' boxes into one table, by WBF, NMW, soft-NMS or NMS.

1. pool: the rows of all tables, over the first one's images and classes
2. thin: NMS within each table, where the rule asks for it
3. rank: rows of one image and class as a group, best first, scores times their weights
4. fuse: each group by the rule's method
5. one table of all boxes, by image, best first, and which rows went into each

Steps 3 and 4 run over blocks of images, on all cores. `fuse_tables` does it all; a search that
tries many rules over the same tables thins them once and calls `fuse_pool` for each rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evaluate.ensemble.nmw import nmw
from evaluate.ensemble.pool import (
    Pool,
    by_images,
    joined,
    pool,
    rank_pool,
    surviving,
    weight_matrix,
)
from evaluate.ensemble.rule import FusionRule
from evaluate.ensemble.soft_nms import soft_nms
from evaluate.ensemble.wbf import wbf
from evaluate.tables import Array, Detections, rank_key

BoxColumns = tuple[Array, ...]  # image, label, xyxy, score of F boxes
MemberColumns = tuple[Array, ...]  # model, row, into of the K rows that went into them


@dataclass(frozen=True, eq=False)
class Fusion:
    """An ensemble's table, and what went into it.

    Row `row[k]` of table `model[k]` went into box `into[k]`; the K entries are in no order.
    """

    dets: Detections  # (F,) by image, best first
    model: Array  # (K,) int, number of the table, from 0
    row: Array  # (K,) int, row of that table
    into: Array  # (K,) int, row of dets


def fuse_tables(
    tables: Sequence[Detections],
    rule: FusionRule,
    *,
    weights: Any = None,
    names: Sequence[str] = (),
) -> Fusion:
    """One table of several over the same images and classes, in the first one's order of them.

    `weights` are all 1, or (M,), one per table, or (M, C), one per table and class; 0 leaves out.
    Only their ratios matter. For NMW, soft-NMS and NMS a score is first multiplied by its weight
    over the largest weight of its class.

    For WBF and NMW, NMS within each table comes first. A detector reports each thing many times,
    mostly faintly, and a fused score is a mean: on BCCD (LOG.md) WBF of unthinned candidates costs
    2 to 4 points of AP50. NMS at an IoU above the fusion's costs up to 14, because the boxes that
    it leaves around a thing are fused with each other.

    The order of rows, images and classes in the tables changes nothing: equal scores rank by table,
    then by box. Raises InputError, with the table's name (`names`, or table 1, 2, ...), where the
    tables do not fit each other or a score is 0, and for impossible weights.
    """
    return fuse_pool(thin(tables, rule, names=names), rule, weights=weights)


def thin(tables: Sequence[Detections], rule: FusionRule, *, names: Sequence[str] = ()) -> Pool:
    """All rows that take part, as `fuse_pool` wants them: above `skip_below`, after each's NMS."""
    names = names or [f"table {i}" for i in range(1, len(tables) + 1)]
    # step 1
    rows = pool(tables, names, rule.skip_below)
    # step 2
    if rule.first_iou == 1:
        return rows
    return joined(by_images(lambda block: _thinned(block, rule.first_iou), rows))


def _thinned(rows: Pool, iou_max: float) -> Pool:
    """What NMS within each table keeps."""
    # One NMS serves all tables if each has images of its own: image 2 of table 0, 1, 2 are the
    # images 6, 7, 8 of three tables, and boxes of different images never meet.
    image = rows.image * rows.models + rows.model
    apart = replace(rows, image_ids=rows.image_ids * rows.models, image=image)
    order, _ = rank_pool(apart)
    return rows.take(order[surviving(apart.take(order), iou_max)])


def fuse_pool(rows: Pool, rule: FusionRule, *, weights: Any = None) -> Fusion:
    """`fuse_tables` of what `thin` gave: for many rules and weights over the same tables."""
    weight = weight_matrix(weights, rows.models, len(rows.classes))
    if rule.method != "wbf":  # scores stay scores: the largest weight of a class is 1
        weight = weight / np.where(weight.max(0) > 0, weight.max(0), 1)

    # steps 3 and 4
    blocks = by_images(lambda block: _fused(block, weight, rule), rows)
    boxes, members = zip(*blocks, strict=True)
    image, label, xyxy, score = (np.concatenate(parts) for parts in zip(*boxes, strict=True))
    model, row, into = (np.concatenate(parts) for parts in zip(*members, strict=True))

    # step 5: `into` counts from the first box of its block; add the boxes of the blocks before
    boxes_before = np.cumsum([0, *(len(columns[0]) for columns in boxes[:-1])])
    into += np.repeat(boxes_before, [len(columns[0]) for columns in members])
    dets = Detections(rows.image_ids, rows.classes, image, label, xyxy, score)
    return Fusion(dets, model, row, into)


def _fused(rows: Pool, weight: Array, rule: FusionRule) -> tuple[BoxColumns, MemberColumns]:
    """The boxes of a block of images, best first, and the rows that went into them."""
    # step 3
    if (weight == 0).any():
        rows = rows.take(weight[rows.model, rows.label] > 0)
    rows = replace(rows, score=rows.score * weight[rows.model, rows.label])
    order, edges = rank_pool(rows)
    rows = rows.take(order)

    # step 4
    if rule.method in ("wbf", "nmw"):
        return _merged(rows, edges, weight, rule)
    if rule.method == "nms":
        rows = rows.take(surviving(rows, rule.iou))
    else:
        decayed = soft_nms(rows.xyxy, rows.score, edges, rule.iou, rule.decay, rule.sigma)
        rows = replace(rows, score=decayed)
        single = decayed.astype(np.float32)
        rows = rows.take((single >= np.float32(rule.skip_below)) & (single > 0))
    every_row = np.arange(len(rows))  # each is a box of its own
    return _columns(rows, rows.xyxy, rows.score, every_row, every_row)


def _merged(
    rows: Pool, edges: Array, weight: Array, rule: FusionRule
) -> tuple[BoxColumns, MemberColumns]:
    """WBF and NMW of ranked rows, whose groups `edges` (G + 1,) tells apart."""
    if rule.method == "wbf":
        xyxy, score, box_count, place = wbf(
            rows.xyxy, rows.score, rows.model, rows.label, edges, weight, rule.iou, rule.conf_type
        )
    else:
        xyxy, score, box_count, place = nmw(rows.xyxy, rows.score, edges, rule.iou)

    # The boxes of a group stand at its first places: a place holds one if its number within the
    # group is below the group's number of boxes.
    group_size = np.diff(edges)
    number = np.arange(len(rows)) - np.repeat(edges[:-1], group_size)
    filled = np.flatnonzero(number < np.repeat(box_count, group_size))
    return _columns(rows, xyxy, score, filled, place)


def _columns(
    rows: Pool, xyxy: Array, score: Array, filled: Array, place: Array
) -> tuple[BoxColumns, MemberColumns]:
    """The boxes at the places `filled` (F,) of xyxy (N, 4) and score (N,), by image, best first.

    Equal scores go by class. A box has the image and class of the row in its place; `place` (N,)
    says for each row where its box is.
    """
    key = rank_key(rows.image[filled], score[filled].astype(np.float32))
    filled = filled[np.argsort(key, kind="stable")]
    into = np.empty(len(rows), np.int64)  # number of the box in each place
    into[filled] = np.arange(len(filled))
    boxes = rows.image[filled], rows.label[filled], xyxy[filled], score[filled]
    return boxes, (rows.model, rows.row, into[place])
