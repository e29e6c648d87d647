"""The cells of a sweep, and the file they are kept in.

A line a cell, best first, then, where a sweep chose by class, a line a class:

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


@dataclass(frozen=True)
class Cell:
    """One point of the grid."""

    conf: float  # boxes with a lower score are dropped
    iou: float  # boxes that overlap a better one by more are dropped
    map: float
    boxes: int  # how many are left
    behind_low: float | None = (
        None  # the 95 % interval of how much less mAP this is than the best cell's
    )
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
    """The cell with the highest mAP; of equals the one with fewest boxes, then lowest IoU, then highest conf."""
    return min(cells, key=cell_rank)


def cell_rank(cell: Cell) -> tuple[float, int, float, float]:
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
    """The conf and iou for `apply`: those of the best cell or, where the file has them, each class's own, (C,) both.

    Raises InputError for another file, and when it has lines for classes but not for all of
    `classes`.
    """
    cells, by_class = read_sweep(path)
    if not by_class:
        cell = best_cell(cells)
        return cell.conf, cell.iou
    found = {cell.name: cell for cell in by_class}
    missing = [name for name in classes if name not in found]
    if missing:
        raise InputError(f"{path}: want a line for every class, {', '.join(missing[:5])} has none")
    return np.array([found[name].conf for name in classes]), np.array(
        [found[name].iou for name in classes]
    )


def read_sweep(path: Path) -> tuple[list[Cell], list[ClassCell]]:
    """The cells of the grid and the classes' own that `write_sweep` wrote, in file order.

    There are none of classes where thresholds were chosen for all. Raises InputError naming the
    line of another file.
    """
    cells: list[Cell] = []
    by_class: list[ClassCell] = []
    for where, row in _rows(path):
        try:
            *numbers, boxes, low, high, name = row
            conf, iou = map(_share, numbers[:2])
            if name:
                if low or high:
                    raise ValueError
                ap = _share(numbers[2]) if numbers[2] else None
                by_class.append(ClassCell(name, conf, iou, ap, _count(boxes)))
            else:
                cells.append(
                    Cell(conf, iou, _share(numbers[2]), _count(boxes), *_behind(low, high))
                )
        except ValueError:
            want = f"want {','.join(HEADER)}, three numbers from 0 to 1, a count, an interval or none, a class or none"
            raise InputError(f"{where}: {want}; there is {','.join(row)[:60]!r}") from None
    if not cells:
        raise InputError(f"{path}: want at least one cell under the header, there is none")
    twice = [name for name, count in Counter(cell.name for cell in by_class).items() if count > 1]
    if twice:
        raise InputError(f"{path}: want one line for a class, {', '.join(twice[:5])} has more")
    return cells, by_class


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Where each line under the header stands, and what is in it."""
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            header = next(rows, [])
            if header != HEADER:
                raise InputError(
                    f"{path}, line 1: want the header {','.join(HEADER)}, there is {','.join(header)[:60]!r}"
                )
            for row in rows:
                yield f"{path}, line {rows.line_num}", row
        except csv.Error as error:
            raise InputError(f"{path}, line {rows.line_num}: {error}") from None


def _share(text: str) -> float:
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
    ends = float(low), float(high)
    if not -1 <= ends[0] <= ends[1] <= 1:
        raise ValueError
    return ends
