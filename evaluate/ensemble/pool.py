"""The rows of several tables, side by side: what every way of fusing starts from.

A pool is the tables one after the other, over the images and classes of the first, with the number
of the table and of the row that each box came from. Before boxes are fused, the pool is ranked:
rows of one image and class stand together as a group, the best score first, because every method
here walks a group from the best box down. Equal scores go by table, then by box, so that the order
of a table's rows, images and classes never changes a result.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np

from evaluate.exceptions import InputError
from evaluate.loops import Kernels
from evaluate.nms import image_blocks, survivor_masks
from evaluate.tables import Array, Detections

kernel = Kernels("evaluate.ensemble.pool_kernel")

COLUMNS = ("image", "label", "xyxy", "score", "model", "row")
BLOCK = 1 << 16  # rows that are worked on at once: they fit in a core's cache
Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class Pool:
    """N rows of M tables. Not checked again: they come from tables that were."""

    image_ids: tuple[str, ...]
    classes: tuple[str, ...]
    models: int  # M
    image: Array  # (N,) int, row of image_ids
    label: Array  # (N,) int, row of classes
    xyxy: Array  # (N, 4) float32
    score: Array  # (N,) float32, or float64 with weights
    model: Array  # (N,) int, number of the table, from 0
    row: Array  # (N,) int, row of that table

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: Array) -> Self:
        """The pool with only these rows, given as a boolean mask or as indices."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})


def pool(tables: Sequence[Detections], names: Sequence[str], skip_below: float) -> Pool:
    """The rows with score >= `skip_below` (as float32) over the first table's images and classes.

    Raises InputError, with the table's name and what differs, when a table has other images or
    classes than the first, and for a score of 0, which has no weight in a mean.
    """
    if not tables:
        raise InputError("want at least one table to fuse, there is none")
    parts = []
    for model, (table, name) in enumerate(zip(tables, names, strict=True)):
        _refuse_other_names("images", name, table.image_ids, names[0], tables[0].image_ids)
        _refuse_other_names("classes", name, table.classes, names[0], tables[0].classes)
        rows = np.flatnonzero(table.score >= np.float32(skip_below))
        if zeros := np.count_nonzero(table.score[rows] == 0):
            raise InputError(
                f"{name}: {zeros:,} scores are 0, want above 0, "
                "or skip_below above 0 to leave them out"
            )
        image = _renumbered(table.image, table.image_ids, tables[0].image_ids)
        label = _renumbered(table.label, table.classes, tables[0].classes)
        models = np.full(len(rows), model, np.int16)
        parts.append((image[rows], label[rows], table.xyxy[rows], table.score[rows], models, rows))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Pool(tables[0].image_ids, tables[0].classes, len(tables), *columns)


def joined(parts: Sequence[Pool]) -> Pool:
    """The rows of several pools over the same images, classes and tables."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS
    }
    return replace(parts[0], **columns)


def weight_matrix(weights: Any, models: int, classes: int) -> Array:
    """Weights of M models, given as None (all 1), as (M,) or as (M, C) -> (M, C) float64.

    0 leaves a model out of a class. Raises InputError for another shape, and for values that are
    negative or not finite.
    """
    shape = (models, classes)
    given = np.ones(models) if weights is None else np.asarray(weights, np.float64)
    if given.shape not in (shape[:1], shape):
        raise InputError(
            f"weights are {given.shape}, want {shape[:1]}, one per table, "
            f"or {shape}, one per table and class"
        )
    if not (np.isfinite(given) & (given >= 0)).all() or not (given > 0).any():
        raise InputError(f"weights are {given.tolist()}, want 0 or more, and not all 0")
    return np.ascontiguousarray(np.broadcast_to(given.reshape(models, -1), shape))


def rank_pool(rows: Pool) -> tuple[Array, Array]:
    """-> the order of rows by image, class and falling score (N,), and the groups' edges (G + 1,).

    A group is the rows of one image and class. Equal scores go by model, then by x1, y1, x2, y2.
    """
    order = np.argsort(rows.image, kind="stable")
    edges = kernel.group_edges(rows.image[order])  # of images
    kernel.rank_images(
        order, edges, len(rows.classes), rows.label, rows.score, rows.model, rows.xyxy
    )
    group = rows.image[order].astype(np.int64) * len(rows.classes) + rows.label[order]
    return order, kernel.group_edges(group)


def surviving(rows: Pool, iou_max: float) -> Array:
    """The rows that NMS without caps keeps, by image, best first. -> (K,) int.

    Equal scores rank in the order of the pool.
    """
    iou_thresholds = np.full((len(rows.classes), 1), iou_max)
    single = replace(rows, score=rows.score.astype(np.float32))
    blocks = survivor_masks(single, iou_thresholds, candidates_max=len(rows), keep_max=len(rows))
    return np.concatenate([np.empty(0, np.int64), *(kept for kept, _ in blocks)])


def by_images(work: Callable[[Pool], Part], rows: Pool) -> list[Part]:
    """What `work` makes of the rows of a few images at a time, in the order of images.

    More than a `BLOCK` of rows is spread over threads, one per core (NUMBA_NUM_THREADS). That
    helps as far as the work is compiled and releases the GIL.
    """
    if len(rows) <= BLOCK:
        return [work(rows)]
    blocks = image_blocks(rows.image, len(rows.image_ids), BLOCK)
    with ThreadPoolExecutor(kernel.threads()) as executor:
        return list(executor.map(lambda block: work(rows.take(block)), blocks))


def _renumbered(column: Array, names: tuple[str, ...], new_names: tuple[str, ...]) -> Array:
    """`column`, which numbers `names`, with the numbers that these names have in `new_names`."""
    if names == new_names:
        return column
    number = {name: i for i, name in enumerate(new_names)}
    moved: Array = np.array([number[name] for name in names], column.dtype)[column]
    return moved


def _refuse_other_names(
    kind: str, table: str, names: Sequence[str], first: str, first_names: Sequence[str]
) -> None:
    """Raise InputError unless both list the same images or classes, in any order."""
    new = sorted(set(names) - set(first_names))
    missing = sorted(set(first_names) - set(names))
    if new or missing:
        raise InputError(
            f"{table}: want the {kind} of {first}; {len(new)} are new{_examples(new)}, "
            f"{len(missing)} are missing{_examples(missing)}"
        )


def _examples(names: Sequence[str]) -> str:
    return f" (such as {', '.join(names[:3])})" if names else ""
