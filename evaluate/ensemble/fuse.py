"""Several detectors' boxes into one table: WBF, NMW, soft-NMS or NMS. Imports numba: import this module late."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

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
from evaluate.ensemble.wbf import nmw, wbf
from evaluate.tables import Array, Detections, rank_key

Made = tuple[
    tuple[Array, ...], tuple[Array, ...]
]  # columns of the boxes and of the rows that went in


@dataclass(frozen=True, eq=False)
class Fusion:
    """An ensemble's table, and what went into it: row `row[k]` of table `model[k]` into box `into[k]`, in no order."""

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
    """One table from one or more over the same images and classes, in the first one's order of them.

    `weights` are all 1, or (M,) a table, or (M, C) a table and class; 0 leaves out. They count against each other, so
    twice the weights give the same. For NMW, soft-NMS and NMS a score is first multiplied by the weight over the
    largest of its class.

    For WBF and NMW, NMS within each table comes first. A detector says each thing many times over, mostly faintly, and
    a fused score is a mean: on BCCD (LOG.md) WBF of candidates as they are costs 2 to 4 points of AP50. NMS at an IoU
    above the fusion's costs up to 14, because what that leaves of a detector around a thing still fuses.

    The order of rows, images and classes in the tables changes nothing: equal scores go by table, then by box.
    Raises InputError, with the table's name (`names`, or table 1, 2, ...), where the tables do not fit each other or
    a score is 0, and for weights or a rule that cannot be.
    """
    return fuse_pool(thin(tables, rule, names=names), rule, weights=weights)


def thin(tables: Sequence[Detections], rule: FusionRule, *, names: Sequence[str] = ()) -> Pool:
    """All rows that take part, as `fuse_pool` wants them: what is skipped is gone, and NMS within each table done."""
    rows = pool(tables, names or [f"table {i}" for i in range(1, len(tables) + 1)], rule.skip_below)
    if rule.first_iou == 1:
        return rows
    return joined(by_images(lambda some: _thinned(some, rule.first_iou), rows))


def _thinned(rows: Pool, iou_max: float) -> Pool:
    """What NMS within each table keeps."""
    image = rows.image * rows.models + rows.model  # as if each table had images of its own
    apart = replace(rows, image_ids=rows.image_ids * rows.models, image=image)
    order, _ = rank_pool(apart)
    return rows.take(order[surviving(apart.take(order), iou_max)])


def fuse_pool(rows: Pool, rule: FusionRule, *, weights: Any = None) -> Fusion:
    """`fuse` of what `thin` gave: for many rules and weights over the same tables."""
    weight = weight_matrix(weights, rows.models, len(rows.classes))
    if rule.method != "wbf":
        weight = weight / np.where(weight.max(0) > 0, weight.max(0), 1)
    boxes, members = zip(*by_images(lambda some: _fused(some, weight, rule), rows), strict=True)
    image, label, xyxy, score = (np.concatenate(parts) for parts in zip(*boxes, strict=True))
    model, row, into = (np.concatenate(parts) for parts in zip(*members, strict=True))
    before = np.cumsum([0, *(len(part[0]) for part in boxes[:-1])])
    into += np.repeat(before, [len(part[0]) for part in members])
    return Fusion(
        Detections(rows.image_ids, rows.classes, image, label, xyxy, score), model, row, into
    )


def _fused(rows: Pool, weight: Array, rule: FusionRule) -> Made:
    """-> image, label, xyxy and score of the boxes (F,); model, row and into of the rows (K,), as in `Fusion`."""
    if (weight == 0).any():
        rows = rows.take(weight[rows.model, rows.label] > 0)
    rows = replace(rows, score=rows.score * weight[rows.model, rows.label])
    order, edges = rank_pool(rows)
    rows = rows.take(order)
    if rule.method in ("wbf", "nmw"):
        return _merged(rows, edges, weight, rule)
    if rule.method == "nms":
        rows = rows.take(surviving(rows, rule.iou))
    else:
        rows = replace(
            rows, score=soft_nms(rows.xyxy, rows.score, edges, rule.iou, rule.decay, rule.sigma)
        )
        score = rows.score.astype(np.float32)
        rows = rows.take((score >= np.float32(rule.skip_below)) & (score > 0))
    every = np.arange(len(rows))
    return _columns(rows, rows.xyxy, rows.score, every, every)


def _merged(rows: Pool, edges: Array, weight: Array, rule: FusionRule) -> Made:
    """WBF and NMW of rows that are in the order of their groups."""
    if rule.method == "wbf":
        made = wbf(
            rows.xyxy, rows.score, rows.model, rows.label, edges, weight, rule.iou, rule.conf_type
        )
    else:
        made = nmw(rows.xyxy, rows.score, edges, rule.iou)
    xyxy, score, count, place = made
    size = np.diff(edges)
    filled = np.arange(len(rows)) - np.repeat(edges[:-1], size) < np.repeat(count, size)
    return _columns(rows, xyxy, score, np.flatnonzero(filled), place)


def _columns(rows: Pool, xyxy: Array, score: Array, at: Array, place: Array) -> Made:
    """Of the boxes xyxy (N, 4) and score (N,) those `at` (F,), by image, best first, then by class.

    A box has the image and class of the row in its place; `place` (N,) says for each row where its box is.
    """
    at = at[np.argsort(rank_key(rows.image[at], score[at].astype(np.float32)), kind="stable")]
    into = np.empty(len(rows), np.int64)
    into[at] = np.arange(len(at))
    return (rows.image[at], rows.label[at], xyxy[at], score[at]), (
        rows.model,
        rows.row,
        into[place],
    )
