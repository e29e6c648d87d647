"""Tables as pandas frames, and as a CSV of the same columns.

    image_id,class,score,xmin,ymin,xmax,ymax
    000001.jpg,dog,0.75,47.0,239.0,195.0,371.0

One box a row; corners are the table's own xyxy (continuous edges, not VOC's 1-based pixels). A
truth has `difficult` in place of `score`. An image without boxes has no row, so `image_ids` says
which images were looked at. All columns come back bit by bit: the CSV has float64's digits.
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluate.exceptions import InputError, refuse
from evaluate.exchange.rows import ParsedRows, Table, as_table, number, row_faults
from evaluate.files import written_whole
from evaluate.tables import Boxes, Detections, GroundTruth

if TYPE_CHECKING:
    import pandas as pd

CORNERS = ["xmin", "ymin", "xmax", "ymax"]
FLAGS = {"0": False, "1": True, "false": False, "true": True}


def to_frame(table: Boxes) -> "pd.DataFrame":
    """A row a box, in table order: image_id and class as text, score or difficult, xmin, ymin,
    xmax, ymax float32.
    """
    import pandas as pd

    columns = dict(zip(_header(type(table)), _values(table), strict=True))
    return pd.DataFrame(columns).astype({"image_id": "str", "class": "str"})


def from_frame(
    kind: type[Table],
    frame: "pd.DataFrame",
    *,
    image_ids: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
) -> Table:
    """The table of `kind`, Detections or GroundTruth, that a frame holds, in its order; other
    columns are passed over.

    Without `image_ids` or `classes` the table has those of the frame, sorted. Raises BadRows naming
    every bad row by its index: an unknown image or class or one that is not text, NaN, a box inside
    out, a score outside [0, 1].
    """
    missing = [name for name in _header(kind) if name not in frame.columns]
    if missing:
        raise InputError(
            f"want columns {', '.join(_header(kind))}; {', '.join(missing)} is missing"
        )
    columns = {name: frame[name].tolist() for name in _header(kind)}
    return _table(kind, columns, lambda row: f"row {frame.index[row]}", image_ids, classes, [])


def write_csv(table: Boxes, path: Path) -> None:
    """Write the frame of `table` as CSV to `path`, whole or not at all."""
    with written_whole(path) as scratch, open(scratch, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_header(type(table)))
        writer.writerows(zip(*(column.tolist() for column in _values(table)), strict=True))


def read_csv(
    path: Path, *, image_ids: Sequence[str] | None = None, classes: Sequence[str] | None = None
) -> Detections | GroundTruth:
    """The table in a CSV: GroundTruth when it has a column `difficult` and no `score`, else
    Detections.

    Ids stay text: 000001 is not 1, and a class may be called NA. Raises BadRows as `from_frame`, by
    line, and for rows with more or fewer columns than the header.
    """
    header, rows = _rows(path)
    is_truth = "difficult" in header and "score" not in header
    kind: type[Detections] | type[GroundTruth] = GroundTruth if is_truth else Detections
    if set(_header(kind)) - set(header) or len(set(header)) < len(header):
        raise InputError(
            f"{path}:1: want the header {','.join(_header(kind))}, there is "
            f"{','.join(header)[:80]!r}"
        )
    want = f"want {len(header)} columns, there are"
    problems = [
        f"{path}:{line}: {want} {len(row)}" for line, row in rows if len(row) != len(header)
    ]
    rows = [(line, row) for line, row in rows if len(row) == len(header)]
    columns = {name: [row[i] for _, row in rows] for i, name in enumerate(header)}
    return _table(kind, columns, lambda row: f"{path}:{rows[row][0]}", image_ids, classes, problems)


def _rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and each row that is not blank with the line it starts on."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, strict=True)
        rows, end = [], 0
        try:
            for fields in lines:
                if fields:
                    rows.append((end + 1, fields))
                end = lines.line_num
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(f"{path}:{end + 1}: want a CSV in UTF-8: {error}") from None
    return (rows[0][1], rows[1:]) if rows else ([], [])


def _table(
    kind: type[Table],
    columns: dict[str, list[Any]],
    where: Callable[[int], str],
    image_ids: Sequence[str] | None,
    classes: Sequence[str] | None,
    problems: list[str],
) -> Table:
    """Columns of text or numbers -> the table; `problems` are told with those found here."""
    image_ids, image = _look_up(columns["image_id"], image_ids)
    classes, label = _look_up(columns["class"], classes)
    xyxy = np.array([[number(value) for value in columns[name]] for name in CORNERS]).T
    score = [number(value) for value in columns.get("score", [])]
    flags = [FLAGS.get(str(value).lower()) for value in columns.get("difficult", [])]
    scored = issubclass(kind, Detections)
    difficult = None if scored else flags
    rows = ParsedRows(image, label, xyxy, score if scored else None, difficult)
    faults = row_faults(rows)
    for row in [row for row, flag in enumerate(flags) if flag is None and not scored]:
        parts = [faults[row]] if row in faults else []
        faults[row] = ", ".join([*parts, "want true or false for difficult"])
    for row in sorted(faults):
        written = " ".join(str(columns[name][row]) for name in _header(kind))
        problems.append(f"{where(row)}: {faults[row]}: {written[:100]}")
    refuse(problems)
    return as_table(kind, image_ids, classes, rows)


def _look_up(names: list[Any], known: Sequence[str] | None) -> tuple[Sequence[str], list[int]]:
    """The names there may be; for each of `names` its place among them, -1 for any other or no
    text.
    """
    texts = [name if isinstance(name, str) else "" for name in names]
    known = sorted(set(texts) - {""}) if known is None else known
    row_of = {name: row for row, name in enumerate(known)}
    return known, [row_of.get(text, -1) for text in texts]


def _values(table: Boxes) -> list[Any]:
    """Columns in the header's order."""
    names = [
        np.array(table.image_ids, object)[table.image],
        np.array(table.classes, object)[table.label],
    ]
    return [*names, getattr(table, _header(type(table))[2]), *table.xyxy.T]


def _header(kind: type[Boxes]) -> list[str]:
    return [
        "image_id",
        "class",
        "difficult" if issubclass(kind, GroundTruth) else "score",
        *CORNERS,
    ]
