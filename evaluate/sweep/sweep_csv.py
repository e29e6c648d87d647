"""The cells of a sweep, and the file they are kept in.

One line per cell, best first; then, where a sweep chose by class, one line per class:

    conf,iou,map,boxes,behind_low,behind_high,class
    0.005,0.55,0.913,7120,0.0,0.0,
    0.01,0.55,0.912,6020,-0.0004,0.0021,
    0.001,0.6,0.951,804,,,dog

The last column names the class that a line is for, and is empty where the line is for all. A
class's `map` is its own AP, empty where it has no truth. `behind` is empty where no interval was
asked for.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluate.exceptions import InputError
from evaluate.files import written_whole
from evaluate.tables import Array

HEADER = ["conf", "iou", "map", "boxes", "behind_low", "behind_high", "class"]
WANTED = (
    f"want {','.join(HEADER)}, three numbers from 0 to 1, a count, an interval or none, "
    "a class or none"
)


@dataclass(frozen=True)
class Cell:
    """One point of the grid."""

    conf: float  # boxes with a lower score are dropped
    iou: float  # boxes that overlap a better one by more are dropped
    map: float
    boxes: int  # how many are left
    # the 95 % interval of how much less mAP this is than the best cell's
    behind_low: float | None = None
    behind_high: float | None = None

    @property
    def could_be_best(self) -> bool:
        """Whether the interval leaves it open that this cell is as good as the best."""
        return self.behind_low is not None and self.behind_low <= 0


@dataclass(frozen=True)
class ClassCell:
    """The point of the grid that is best for one class."""

    name: str
    conf: float
    iou: float
    ap: float | None  # None where the class has no truth
    boxes: int


def best_cell(cells: Iterable[Cell]) -> Cell:
    """The first by `cell_rank`."""
    return min(cells, key=cell_rank)


def cell_rank(cell: Cell) -> tuple[float, int, float, float]:
    """Sorts by highest mAP; equals by fewest boxes, then lowest IoU, then highest conf."""
    return -cell.map, cell.boxes, cell.iou, -cell.conf


def write_sweep(cells: Iterable[Cell], path: Path, by_class: Iterable[ClassCell] = ()) -> None:
    """Write the cells, then those of the classes, floats in full, to `path` whole or not at all."""
    with written_whole(path) as scratch, open(scratch, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEADER)
        out.writerows(
            [c.conf, c.iou, c.map, c.boxes, c.behind_low, c.behind_high, ""] for c in cells
        )
        out.writerows([c.conf, c.iou, c.ap, c.boxes, None, None, c.name] for c in by_class)


def read_thresholds(path: Path, classes: tuple[str, ...]) -> tuple[float | Array, float | Array]:
    """The conf and iou for `apply`: the best cell's or, if the file has them, each class's own.

    The latter are (C,) both. Raises InputError for another file, and when it has lines for classes
    but not for all of `classes`.
    """
    cells, by_class = read_sweep(path)
    if not by_class:
        cell = best_cell(cells)
        return cell.conf, cell.iou
    cell_of = {cell.name: cell for cell in by_class}
    missing = [name for name in classes if name not in cell_of]
    if missing:
        raise InputError(f"{path}: want a line for every class, {', '.join(missing[:5])} has none")
    chosen = [(cell_of[name].conf, cell_of[name].iou) for name in classes]
    conf, iou = np.array(chosen, np.float64).reshape(-1, 2).T
    return conf, iou


def read_sweep(path: Path) -> tuple[list[Cell], list[ClassCell]]:
    """The cells of the grid, and the classes' own cells if there are any, in file order.

    Raises InputError, naming the line, for a file that `write_sweep` did not write.
    """
    cells: list[Cell] = []
    by_class: list[ClassCell] = []
    for place, row in _rows(path):
        try:
            cell = _parsed(row)
        except ValueError:
            raise InputError(f"{place}: {WANTED}; there is {','.join(row)[:60]!r}") from None
        if isinstance(cell, Cell):
            cells.append(cell)
        else:
            by_class.append(cell)
    if not cells:
        raise InputError(f"{path}: want at least one cell under the header, there is none")
    twice = [name for name, count in Counter(cell.name for cell in by_class).items() if count > 1]
    if twice:
        raise InputError(f"{path}: want one line for a class, {', '.join(twice[:5])} has more")
    return cells, by_class


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Each line under the header: its place, such as "sweep.csv, line 2", and its columns."""
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            header = next(rows, [])
            if header != HEADER:
                raise InputError(
                    f"{path}, line 1: want the header {','.join(HEADER)}, "
                    f"there is {','.join(header)[:60]!r}"
                )
            for row in rows:
                yield f"{path}, line {rows.line_num}", row
        except csv.Error as error:
            raise InputError(f"{path}, line {rows.line_num}: {error}") from None


def _parsed(row: list[str]) -> Cell | ClassCell:
    """Raises ValueError for columns that are not WANTED."""
    conf, iou, ap, boxes, low, high, name = row
    thresholds = _fraction(conf), _fraction(iou)
    if not name:
        return Cell(*thresholds, _fraction(ap), _count(boxes), *_behind(low, high))
    if low or high:
        raise ValueError
    return ClassCell(name, *thresholds, _fraction(ap) if ap else None, _count(boxes))


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def _behind(low: str, high: str) -> tuple[float | None, float | None]:
    if not low and not high:
        return None, None
    interval = float(low), float(high)
    if not -1 <= interval[0] <= interval[1] <= 1:
        raise ValueError
    return interval
