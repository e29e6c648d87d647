"""Grid search over the two thresholds that turn candidates into a submission."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from evaluate.matching import match
from evaluate.tables import Detections, GroundTruth, InputError, align, written_whole
from evaluate.voc_map import score

CONFS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
IOUS = (0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75)


@dataclass(frozen=True)
class Cell:
    """One point of the grid."""

    conf: float  # boxes with a lower score are dropped
    iou: float  # boxes that overlap a better one by more are dropped
    map: float
    boxes: int  # how many are left


HEADER = ",".join(f.name for f in fields(Cell))


def sweep(
    candidates: Detections,
    truth: GroundTruth,
    *,
    confs: Sequence[float] = CONFS,
    ious: Sequence[float] = IOUS,
    candidates_max: int = 3000,
    keep_max: int = 3000,
    eleven_point: bool = False,
    progress: Callable[[Sequence[float]], Iterable[float]] = lambda ious: ious,
) -> list[Cell]:
    """VOC mAP at every (conf, iou), best first.

    A cell's number is exactly `voc_map(apply(candidates, conf, iou), truth).mean`, but suppression and matching run
    once per IoU, because both commute with a confidence threshold. `progress` wraps the IoUs, as tqdm does.

    Raises InputError on an empty grid or one outside [0, 1], and what `voc_map` raises.
    """
    from evaluate.nms import nms  # numba takes half a second to import

    if not len(confs) or not len(ious):
        raise InputError(f"want at least one conf and one iou, there are {len(confs)} and {len(ious)}")
    candidates = align(candidates, truth)
    cells = []
    for iou_max in progress(ious):
        kept = nms(candidates, iou_max, candidates_max=candidates_max, keep_max=keep_max)
        matches = match(kept, truth)
        for conf in confs:
            left = matches.above(_checked(conf))
            mean = score(left, eleven_point=eleven_point).mean
            cells.append(Cell(float(conf), float(iou_max), mean, len(left.score)))
    return sorted(cells, key=_rank)


def best(cells: Iterable[Cell]) -> Cell:
    """The cell with the highest mAP; of equals the one with fewest boxes, then lowest IoU, then highest conf."""
    return min(cells, key=_rank)


def apply(
    candidates: Detections, conf: float, iou: float, *, candidates_max: int = 3000, keep_max: int = 3000
) -> Detections:
    """What is left of the candidates at one cell: NMS, then score >= conf. Grouped by image, best first.

    Scores are float32, so conf is rounded to float32 before it is compared: a box scored 0.01 passes conf 0.01.
    """
    from evaluate.nms import nms

    kept = nms(candidates, iou, candidates_max=candidates_max, keep_max=keep_max)
    return kept.take(kept.score >= np.float32(_checked(conf)))


def write_csv(cells: Iterable[Cell], path: Path) -> None:
    """Write conf,iou,map,boxes, a line a cell, floats in full, to `path` whole or not at all."""
    lines = [HEADER, *(",".join(str(value) for value in astuple(cell)) for cell in cells)]
    with written_whole(path) as scratch:
        scratch.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_csv(path: Path) -> list[Cell]:
    """The cells that `write_csv` wrote, in file order. Raises InputError naming the line for anything else."""
    header, *lines = path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    if header != HEADER:
        raise InputError(f"{path}, line 1: want the header {HEADER}, there is {header[:60]!r}")
    if not lines:
        raise InputError(f"{path}: want at least one cell under the header, there is none")
    return [_cell(f"{path}, line {number}", line) for number, line in enumerate(lines, start=2)]


def _cell(where: str, line: str) -> Cell:
    try:
        conf, iou, mean, boxes = line.split(",")
        cell = Cell(float(conf), float(iou), float(mean), int(boxes))
    except ValueError:
        cell = None
    if cell is None or cell.boxes < 0 or not all(0 <= x <= 1 for x in (cell.conf, cell.iou, cell.map)):
        raise InputError(f"{where}: want {HEADER}, three numbers from 0 to 1 and a count, there is {line[:60]!r}")
    return cell


def _rank(cell: Cell) -> tuple[float, int, float, float]:
    return -cell.map, cell.boxes, cell.iou, -cell.conf


def _checked(conf: float) -> float:
    if not 0 <= conf <= 1:
        raise InputError(f"conf is {conf}, want 0 to 1")
    return conf
