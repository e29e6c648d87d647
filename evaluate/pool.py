"""Several tables over the same images and classes as one, with where each row came from. Imports numba."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numba
import numpy as np
from numpy.typing import NDArray

from evaluate.nms import nms
from evaluate.tables import Array, Detections, InputError


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


@dataclass(frozen=True, eq=False)
class _Numbered(Detections):
    """Detections whose rows stay known when NMS takes some of them."""

    row: NDArray[np.int64]

    @classmethod
    def _dtypes(cls) -> dict[str, Any]:
        return super()._dtypes() | {"row": np.int64}


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
            raise InputError(f"{name}: {zeros:,} scores are 0, want above 0, or skip_below above 0 to leave them out")
        model_column = np.full(len(rows), model, np.int16)
        parts.append((image[rows], label[rows], table.xyxy[rows], table.score[rows], model_column, rows))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Pool(tables[0].image_ids, tables[0].classes, len(tables), *columns)


def surviving(rows: Pool, iou_max: float) -> Array:
    """The rows that NMS without caps keeps, by image, best first. Equal scores go in the pool's order. -> (K,) int."""
    columns = {f.name: getattr(rows, f.name) for f in fields(Detections)}
    kept = nms(_Numbered(**columns, row=np.arange(len(rows))), iou_max, candidates_max=len(rows), keep_max=len(rows))
    assert isinstance(kept, _Numbered)
    return kept.row


def weight_matrix(weights: Any, models: int, classes: int) -> Array:
    """Weights of M models, given as None (all 1), as (M,) or as (M, C) -> (M, C) float64.

    0 leaves a model out of a class. Raises InputError for another shape, and for values below 0 or not finite.
    """
    shape = (models, classes)
    given = np.ones(models) if weights is None else np.asarray(weights, np.float64)
    if given.shape not in (shape[:1], shape):
        raise InputError(f"weights are {given.shape}, want {shape[:1]}, one a table, or {shape}, one a table and class")
    if not (np.isfinite(given) & (given >= 0)).all() or not (given > 0).any():
        raise InputError(f"weights are {given.tolist()}, want 0 or more, and not all 0")
    return np.ascontiguousarray(np.broadcast_to(given.reshape(models, -1), shape))


def ranking(rows: Pool) -> tuple[Array, Array]:
    """-> the order of rows by image, class and falling score (N,), and the edges of those groups in it (G + 1,).

    Equal scores go by model, then by x1, y1, x2, y2, so the order of a table's rows changes nothing.
    """
    order = np.argsort(rows.image, kind="stable")
    edges = np.searchsorted(rows.image[order], np.arange(len(rows.image_ids) + 1))
    columns = rows.label, rows.score, rows.model, rows.xyxy
    in_threads(lambda first, last: _rank(order, edges, first, last, len(rows.classes), *columns), edges)
    group = rows.image[order].astype(np.int64) * len(rows.classes) + rows.label[order]
    return order, np.flatnonzero(np.diff(group, prepend=-1, append=-2))


def in_threads(work: Callable[[int, int], object], edges: Array) -> None:
    """Call work(first, last) on ranges of the groups with edges (G + 1,), a thread a core; a few ranges for each.

    `work` must be compiled with nogil, or threads gain nothing. NUMBA_NUM_THREADS says how many there are.
    """
    groups = len(edges) - 1
    threads = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    cuts = np.linspace(0, groups, min(4 * threads, groups) + 1).astype(int).tolist() if threads > 1 else [0, groups]
    if len(cuts) > 2:
        with ThreadPoolExecutor(threads) as executor:
            list(executor.map(work, cuts[:-1], cuts[1:]))
    elif groups:
        work(0, groups)


@numba.njit(cache=True, nogil=True)
def _rank(
    order: Any, edges: Any, first: int, last: int, classes: int, label: Any, score: Any, model: Any, xyxy: Any
) -> None:
    """Sort the rows of images [first, last) by class, falling score, model and box; in place, order is (N,)."""
    at = np.empty(classes + 1, np.int64)
    for image in range(first, last):
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
            while j > edges[image] and label[order[j - 1]] == label[row] and score[order[j - 1]] == score[row]:
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
    moved: Array = np.array([at[name] for name in here], np.int64)[column]
    return moved


def _refuse_others(what: str, name: str, here: Sequence[str], first: str, there: Sequence[str]) -> None:
    new, missing = sorted(set(here) - set(there)), sorted(set(there) - set(here))
    if new or missing:
        raise InputError(
            f"{name}: want the {what} of {first}; {len(new)} are new{_such(new)}, "
            f"{len(missing)} are missing{_such(missing)}"
        )


def _such(names: Sequence[str]) -> str:
    return f" (such as {', '.join(names[:3])})" if names else ""
