"""Several tables over the same images and classes as one, with where each row came from. Imports numba."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numba
import numpy as np

from evaluate.exceptions import InputError
from evaluate.nms import image_blocks, survivor_masks
from evaluate.tables import Array, Detections


@dataclass(frozen=True, eq=False)
class Pool:
    """N rows of M tables. Not checked again: they come out of tables that were."""

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


COLUMNS = ("image", "label", "xyxy", "score", "model", "row")
BLOCK = 1 << 16  # rows that are worked on at once: they fit in a core's cache
Part = TypeVar("Part")


def pool(tables: Sequence[Detections], names: Sequence[str], skip_below: float) -> Pool:
    """The rows with score >= `skip_below`, rounded to float32, over the first table's images and classes.

    Raises InputError, with a table's name and what differs, for other images or classes than the first table's, and
    for a score of 0, which has no weight in a mean.
    """
    if not tables:
        raise InputError("want at least one table to fuse, there is none")
    parts = []
    for model, (table, name) in enumerate(zip(tables, names, strict=True)):
        _refuse_others("images", name, table.image_ids, names[0], tables[0].image_ids)
        _refuse_others("classes", name, table.classes, names[0], tables[0].classes)
        image = _renumbered(table.image, table.image_ids, tables[0].image_ids)
        label = _renumbered(table.label, table.classes, tables[0].classes)
        rows = np.flatnonzero(table.score >= np.float32(skip_below))
        if zeros := np.count_nonzero(table.score[rows] == 0):
            raise InputError(
                f"{name}: {zeros:,} scores are 0, want above 0, or skip_below above 0 to leave them out"
            )
        model_column = np.full(len(rows), model, np.int16)
        parts.append(
            (image[rows], label[rows], table.xyxy[rows], table.score[rows], model_column, rows)
        )
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Pool(tables[0].image_ids, tables[0].classes, len(tables), *columns)


def surviving(rows: Pool, iou_max: float) -> Array:
    """The rows that NMS without caps keeps, by image, best first. Equal scores go in the pool's order. -> (K,) int."""
    limits = np.full((len(rows.classes), 1), iou_max)
    single = replace(rows, score=rows.score.astype(np.float32))
    kept = [
        some
        for some, _ in survivor_masks(single, limits, candidates_max=len(rows), keep_max=len(rows))
    ]
    return np.concatenate([np.empty(0, np.int64), *kept])


def weight_matrix(weights: Any, models: int, classes: int) -> Array:
    """Weights of M models, given as None (all 1), as (M,) or as (M, C) -> (M, C) float64.

    0 leaves a model out of a class. Raises InputError for another shape, and for values below 0 or not finite.
    """
    shape = (models, classes)
    given = np.ones(models) if weights is None else np.asarray(weights, np.float64)
    if given.shape not in (shape[:1], shape):
        raise InputError(
            f"weights are {given.shape}, want {shape[:1]}, one a table, or {shape}, one a table and class"
        )
    if not (np.isfinite(given) & (given >= 0)).all() or not (given > 0).any():
        raise InputError(f"weights are {given.tolist()}, want 0 or more, and not all 0")
    return np.ascontiguousarray(np.broadcast_to(given.reshape(models, -1), shape))


def rank_pool(rows: Pool) -> tuple[Array, Array]:
    """-> the order of rows by image, class and falling score (N,), and the edges of those groups in it (G + 1,).

    Equal scores go by model, then by x1, y1, x2, y2, so the order of a table's rows changes nothing.
    """
    order = np.argsort(rows.image, kind="stable")
    edges = _edges(rows.image[order])
    _rank(order, edges, len(rows.classes), rows.label, rows.score, rows.model, rows.xyxy)
    return order, _edges(rows.image[order].astype(np.int64) * len(rows.classes) + rows.label[order])


def by_images(work: Callable[[Pool], Part], rows: Pool) -> list[Part]:
    """What `work` makes of the rows of some images at a time, in the order of images.

    Beyond a `BLOCK` of rows, on a thread a core; NUMBA_NUM_THREADS says how many. What is compiled wants nogil.
    """
    if len(rows) <= BLOCK:
        return [work(rows)]
    blocks = image_blocks(rows.image, len(rows.image_ids), BLOCK)
    with ThreadPoolExecutor(numba.config.NUMBA_NUM_THREADS) as executor:  # type: ignore[attr-defined]
        return list(executor.map(lambda block: work(rows.take(block)), blocks))


def joined(parts: Sequence[Pool]) -> Pool:
    """The rows of several pools over the same images, classes and tables."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS
    }
    return replace(parts[0], **columns)


@numba.njit(cache=True, nogil=True)
def _edges(group: Any) -> Any:
    """Where the numbers of a sorted (N,) change -> (G + 1,) int64, from 0 to N."""
    edges = np.empty(len(group) + 1, np.int64)
    groups = 0
    for i in range(len(group)):
        if i == 0 or group[i] != group[i - 1]:
            edges[groups] = i
            groups += 1
    edges[groups] = len(group)
    return edges[: groups + 1]


@numba.njit(cache=True, nogil=True)
def _rank(
    order: Any, edges: Any, classes: int, label: Any, score: Any, model: Any, xyxy: Any
) -> None:
    """Sort the rows of each image by class, falling score, model and box; in place, order is (N,), edges (I + 1,)."""
    at = np.empty(classes + 1, np.int64)
    for image in range(len(edges) - 1):
        rows = order[edges[image] : edges[image + 1]].copy()
        rows = rows[np.argsort(-score[rows], kind="mergesort")]
        at[:] = 0
        for row in rows:
            at[label[row] + 1] += 1
        at[0] = edges[image]
        for c in range(classes):
            at[c + 1] += at[c]
        for row in rows:
            order[at[label[row]]] = row
            at[label[row]] += 1
        for i in range(edges[image] + 1, edges[image + 1]):  # insertion: only ties are out of order
            row, j = order[i], i
            while (
                j > edges[image]
                and label[order[j - 1]] == label[row]
                and score[order[j - 1]] == score[row]
            ):
                if not _comes_before(row, order[j - 1], model, xyxy):
                    break
                order[j] = order[j - 1]
                j -= 1
            order[j] = row


@numba.njit(cache=True, nogil=True)
def _comes_before(a: int, b: int, model: Any, xyxy: Any) -> bool:
    """Whether row a comes before row b of the same score: by model, then by box."""
    if model[a] != model[b]:
        return bool(model[a] < model[b])
    for side in range(4):
        if xyxy[a, side] != xyxy[b, side]:
            return bool(xyxy[a, side] < xyxy[b, side])
    return False


def _renumbered(column: Array, here: tuple[str, ...], there: tuple[str, ...]) -> Array:
    """`column`, which numbers the names of `here`, as numbers of the same names in `there`."""
    if here == there:
        return column
    at = {name: i for i, name in enumerate(there)}
    moved: Array = np.array([at[name] for name in here], column.dtype)[column]
    return moved


def _refuse_others(
    what: str, name: str, here: Sequence[str], first: str, there: Sequence[str]
) -> None:
    if here == there:
        return
    new, missing = sorted(set(here) - set(there)), sorted(set(there) - set(here))
    if new or missing:
        raise InputError(
            f"{name}: want the {what} of {first}; {len(new)} are new{_such(new)}, "
            f"{len(missing)} are missing{_such(missing)}"
        )


def _such(names: Sequence[str]) -> str:
    return f" (such as {', '.join(names[:3])})" if names else ""
