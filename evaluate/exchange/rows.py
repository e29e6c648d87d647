"""What the readers and writers of other tools' files share: all offenders in one message, files written whole."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from evaluate.exceptions import InputError
from evaluate.tables import Array, Boxes

Table = TypeVar("Table", bound=Boxes)


class Found(NamedTuple):
    """Boxes as a reader found them, not checked yet; one row a box."""

    image: Sequence[int]  # (N,) rows of image_ids, -1: unknown
    label: Sequence[int]  # (N,) rows of classes, -1: unknown
    xyxy: Array  # (N, 4) float64, pixels, continuous edges
    score: Sequence[float] | None = None  # (N,) None: a truth


def faults(found: Found) -> dict[int, str]:
    """row -> all that is wrong with it, for the rows that a table would refuse."""
    x1, y1, x2, y2 = found.xyxy.T
    with np.errstate(over="ignore", invalid="ignore"):
        lost = ~np.isfinite(found.xyxy.astype(np.float32)).all(axis=1)
    checks = [
        (np.asarray(found.image) < 0, "unknown image"),
        (np.asarray(found.label) < 0, "unknown class"),
        (lost, "want four finite numbers for the box"),
        ((x2 < x1) | (y2 < y1), "the box is inside out"),
    ]
    if found.score is not None:
        score = np.asarray(found.score, np.float64)
        checks.append((~((score >= 0) & (score <= 1)), "want a score from 0 to 1"))
    wrong: dict[int, str] = {}
    for bad, what in checks:
        for row in np.flatnonzero(bad).tolist():
            wrong[row] = f"{wrong[row]}, {what}" if row in wrong else what
    return wrong


def as_table(
    kind: type[Table],
    image_ids: Sequence[str],
    classes: Sequence[str],
    found: Found,
    last: Sequence[Any] | Array,
) -> Table:
    """The table of `kind`, Detections or GroundTruth; last: its score or difficult."""
    build: Any = kind
    table: Table = build(image_ids, classes, found.image, found.label, found.xyxy, last)
    return table


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers. Raises InputError when it is no text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: want a text file in UTF-8: {error}") from None
    return [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]


def number(value: Any) -> float:
    """A number, or the text of one. -> NaN for what is neither."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
