"""Boxes on their way from somebody else's file into a table.

Every reader goes the same way, so that a file with a hundred bad rows needs one run, not a hundred:

1. read all rows, whatever they hold, as ParsedRows: -1 for an image or a class that nobody knows,
   NaN for a number that is none;
2. `row_faults` says what is wrong with each row; the reader puts file and line in front;
3. BadRows is raised with all of them, or `as_table` builds the table.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from evaluate.tables import Array, Boxes, Detections

Size = tuple[int, int]  # height, width
Table = TypeVar("Table", bound=Boxes)


class ParsedRows(NamedTuple):
    """N boxes as a reader parsed them, not checked yet."""

    image: Sequence[int]  # (N,) rows of image_ids, -1: unknown
    label: Sequence[int]  # (N,) rows of classes, -1: unknown
    xyxy: Array  # (N, 4) float64, pixels, continuous edges
    score: Sequence[float] | None = None  # (N,) of detections
    difficult: Sequence[Any] | None = None  # (N,) of a truth


def row_faults(rows: ParsedRows) -> dict[int, str]:
    """row -> all that is wrong with it, for the rows that a table would refuse."""
    x1, y1, x2, y2 = rows.xyxy.T
    with np.errstate(over="ignore", invalid="ignore"):  # finite in float64 may not be in float32
        lost = ~np.isfinite(rows.xyxy.astype(np.float32)).all(axis=1)
    checks = [
        (np.asarray(rows.image) < 0, "unknown image"),
        (np.asarray(rows.label) < 0, "unknown class"),
        (lost, "want four finite numbers for the box"),
        ((x2 < x1) | (y2 < y1), "the box is inside out"),
    ]
    if rows.score is not None:
        score = np.asarray(rows.score, np.float64)
        checks.append((~((score >= 0) & (score <= 1)), "want a score from 0 to 1"))
    faults: dict[int, list[str]] = {}
    for bad, fault in checks:
        for row in np.flatnonzero(bad).tolist():
            faults.setdefault(row, []).append(fault)
    return {row: ", ".join(texts) for row, texts in faults.items()}


def as_table(
    kind: type[Table], image_ids: Sequence[str], classes: Sequence[str], rows: ParsedRows
) -> Table:
    """The table of `kind`, Detections or GroundTruth, of rows without a fault."""
    last = rows.score if issubclass(kind, Detections) else rows.difficult
    build: Any = kind
    table: Table = build(image_ids, classes, rows.image, rows.label, rows.xyxy, last)
    return table


def number(value: Any) -> float:
    """A number, or the text of one. -> NaN for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
