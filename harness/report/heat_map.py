"""A sweep's cells as a grid, coloured by how far each is behind the best."""

import math
from dataclasses import dataclass

from evaluate.sweep.sweep_csv import Cell, best_cell

NEAR = 0.001  # AP: colours tell gaps of this size from none, and from gaps of ten times this size


@dataclass(frozen=True)
class HeatMap:
    best: Cell
    ious: list[float]
    rows: dict[float, list[Cell | None]]  # by conf, a cell for each of ious
    widest: float  # gap in AP from the best cell to the worst
    close: int  # cells other than the best that may be as good, by their intervals

    def heat(self, cell: Cell) -> float:
        """From 1 at the best AP to 0 at the lowest; logarithmic: most are near the best."""
        return 1 - _log(self.best.map - cell.map) / (_log(self.widest) or 1)


def heat_map(cells: list[Cell]) -> HeatMap:
    """The grid of its cells; a pair that was not swept has no cell."""
    cell_of = {(cell.conf, cell.iou): cell for cell in cells}
    ious = sorted({cell.iou for cell in cells})
    rows = {
        conf: [cell_of.get((conf, iou)) for iou in ious]
        for conf in sorted({cell.conf for cell in cells})
    }
    best = best_cell(cells)
    close = sum(cell.could_be_best for cell in cells if cell != best)
    return HeatMap(best, ious, rows, best.map - min(cell.map for cell in cells), close)


def _log(gap: float) -> float:
    return math.log1p(gap / NEAR)
