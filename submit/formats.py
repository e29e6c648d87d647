"""The competition's CSV: a row an image, its boxes as a Python list in one cell.

    id,image_id,prediction_list
    1,000001.jpg,"[['dog', 0.91235, 48.00, 240.00, 195.00, 371.00], ['person', 0.88090, 8.00, 12.00, 352.00, 498.00]]"
    2,000002.jpg,[]

`id` counts from 1, or is what the competition's sample gives the image. Boxes are VOC's xmin, ymin, xmax, ymax:
1-based pixels, both ends inclusive, so a table's (x1, y1, x2, y2) is written as (x1 + 1, y1 + 1, x2, y2).
"""

import ast
import csv
import io
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from evaluate.tables import Array, Detections, InputError, rank_key, written_whole

HEADER = ["id", "image_id", "prediction_list"]


class SubmissionError(InputError):
    """The competition would refuse this CSV or misread it. `problems` has a line for every bad row."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.problems = problems
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        super().__init__(f"{path}: {'; '.join(problems[:3])}{more}")


class Row(NamedTuple):
    """One row of the file, as text."""

    line: int  # where it starts, from 1
    id: str
    image_id: str
    cell: str
    fault: str  # what is wrong with its shape, "" if nothing is

    def __str__(self) -> str:
        return f"line {self.line}, id {self.id}, image {self.image_id}"


def write(dets: Detections, path: Path, *, sample: Path | None = None) -> None:
    """Write a row for every image of the table, best box first, to `path` whole or not at all.

    Scores have 5 decimals and boxes 2, which moves AP by nothing. A box less than one pixel wide or high becomes one
    pixel, because with inclusive ends it would be inside out. With the competition's `sample` its ids and its order
    are kept; without, ids count from 1 in table order. Raises InputError when sample and table list other images.
    """
    ids = {image_id: str(number) for number, image_id in enumerate(dets.image_ids, start=1)}
    if sample:
        ids = read_sample(sample)
        _refuse_other_images(sample, ids, dets.image_ids)
    cells = dict(zip(dets.image_ids, _cells(dets), strict=True))
    with written_whole(path) as scratch, open(scratch, "w", newline="", encoding="utf-8") as file:
        file.write(",".join(HEADER) + "\n")
        for image_id, number in ids.items():
            file.write(f"{_quoted(number)},{_quoted(image_id)},{_quoted(cells[image_id])}\n")


def read(
    path: Path,
    classes: Sequence[str] | None = None,
    *,
    image_ids: Sequence[str] | None = None,
    sample: Path | None = None,
) -> Detections:
    """The table that a CSV holds. Images come in the order of `image_ids`, else of the sample, else of the file.

    Without `classes` the table has those that the file names, sorted. An empty cell is an image without boxes.

    Raises SubmissionError with every bad row at once. Bad are: a cell that is not a list of [class, score, xmin, ymin,
    xmax, ymax], an unknown class, a score that is no number from 0 to 1, a corner that is no pixel, xmax < xmin, and
    an image or an id that is repeated, missing or not the sample's (without sample: ids from 1 to the last row).
    """
    rows = read_rows(path)
    ids = read_sample(sample) if sample else None
    if image_ids is None:
        image_ids = list(ids) if ids is not None else list(dict.fromkeys(row.image_id for row in rows))
    elif sample and ids is not None:
        _refuse_other_images(sample, ids, image_ids)
    image_at = {image_id: number for number, image_id in enumerate(image_ids)}
    known = None if classes is None else frozenset(classes)

    problems = []
    image, names, numbers = [np.empty(0, int)], list[str](), [np.empty((0, 5))]
    for row, fault in zip(rows, _faults(rows, image_at, ids), strict=True):
        try:
            boxes = _boxes(row.cell)
            numbers.append(_numbers(boxes, known))
        except (ValueError, OverflowError) as error:
            fault = fault or str(error)
        if fault:
            problems.append(f"{row}: {fault}")
            continue
        image.append(np.full(len(boxes), image_at[row.image_id]))
        names.extend(box[0] for box in boxes)
    there = {row.image_id for row in rows}
    problems += [f"image {image_id} has no row" for image_id in image_ids if image_id not in there]
    if problems:
        raise SubmissionError(path, problems)

    classes = sorted(set(names)) if classes is None else classes
    label_at = {name: label for label, name in enumerate(classes)}
    label = np.array([label_at[name] for name in names], np.int16)
    table: Array = np.concatenate(numbers) - (0, 1, 1, 0, 0)
    return Detections(tuple(image_ids), tuple(classes), np.concatenate(image), label, table[:, 1:], table[:, 0])


def read_rows(path: Path) -> list[Row]:
    """Every row under the header, its cell unread. Skips blank lines. Raises SubmissionError on another header."""
    text = _text(path)
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, end = [], 0
    with _cells_of_any_length():
        try:
            for fields in lines:
                start, end = end + 1, lines.line_num
                number, image_id, cell = [*fields, "", "", ""][:3]
                fault = f"want 3 columns, there are {len(fields)}: is the list in quotes?" if len(fields) != 3 else ""
                if fields:
                    rows.append(Row(start, number, image_id, cell, fault))
        except csv.Error as error:
            rows.append(Row(end + 1, "", "", "", f"not a row of a CSV: {error}"))
    if not rows or rows[0][1:] != (*HEADER, ""):
        there = text.partition("\n")[0][:60]
        raise SubmissionError(path, [f"line 1: want the header {','.join(HEADER)}, there is {there!r}"])
    return rows[1:]


def read_sample(path: Path) -> dict[str, str]:
    """id by image_id, in the order of a competition's sample_submission.csv. Raises InputError."""
    rows = read_rows(path)
    faults = [f"{row}: {row.fault}" for row in rows if row.fault]
    if faults:
        raise SubmissionError(path, faults)
    ids = {row.image_id: row.id for row in rows}
    if not len(rows) == len(ids) == len(set(ids.values())):
        raise InputError(f"{path}: want every image and every id once, some are there twice")
    return ids


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SubmissionError(path, [f"line {line}: not UTF-8: {error.reason}"]) from None


def _cells(dets: Detections) -> Iterator[str]:
    """One cell for each image of the table, in table order."""
    dets = dets.take(np.argsort(rank_key(dets.image, dets.score), kind="stable"))
    low = np.round(dets.xyxy[:, :2].astype(np.float64) + 1, 2) + 0  # + 0 turns -0.00 into 0.00
    high = np.maximum(np.round(dets.xyxy[:, 2:].astype(np.float64), 2) + 0, low)
    names = [repr(str(name)) for name in dets.classes]
    columns = (column.tolist() for column in (dets.label, dets.score, *low.T, *high.T))
    boxes = [
        f"[{names[label]}, {score:.5f}, {xmin:.2f}, {ymin:.2f}, {xmax:.2f}, {ymax:.2f}]"
        for label, score, xmin, ymin, xmax, ymax in zip(*columns, strict=True)
    ]
    edges = np.searchsorted(dets.image, np.arange(len(dets.image_ids) + 1))
    return (f"[{', '.join(boxes[a:b])}]" for a, b in pairwise(edges.tolist()))


def _quoted(text: str) -> str:
    """A field as CSV wants it. csv.writer looks at each character, which takes 20 times longer."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def _boxes(cell: str) -> list[Any]:
    """The list in a cell, its boxes unread. Raises ValueError.

    Cells with one kind of quote are JSON but for the quotes, and orjson reads them 20 times faster than Python does.
    """
    boxes: Any = None
    if not cell.strip():
        return []
    if "\\" not in cell and not ("'" in cell and '"' in cell):
        try:
            boxes = orjson.loads(cell.replace("'", '"'))
        except orjson.JSONDecodeError:
            pass  # Python still may read it: 1., .5, 1_000, 'do' 'g'
    if boxes is None:
        try:
            boxes = ast.literal_eval(cell)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            hint = ", write plain numbers: NumPy prints np.float32(0.9)" if "np.float" in cell else ""
            raise ValueError(f"want a Python list, there is {cell[:60]!r}{hint}") from None
    if type(boxes) is not list:
        raise ValueError(f"want a Python list, there is {cell[:60]!r}")
    return boxes


def _numbers(boxes: list[Any], classes: Collection[str] | None) -> Array:
    """score, xmin, ymin, xmax, ymax of each box -> (n, 5) float64. Raises ValueError naming the first bad box."""
    if not boxes:
        return np.empty((0, 5))
    bad = (type(box) is not list or len(box) != 6 for box in boxes)
    _refuse(boxes, bad, "want [class, score, xmin, ymin, xmax, ymax]")
    _refuse(boxes, (type(box[0]) is not str for box in boxes), "want the class as a string")
    if classes is not None:
        _refuse(boxes, (box[0] not in classes for box in boxes), "unknown class")
    columns = list(zip(*boxes, strict=True))[1:]
    if not set(map(type, chain.from_iterable(columns))) <= {int, float}:
        _refuse(boxes, (not set(map(type, box[1:])) <= {int, float} for box in boxes), "want five numbers")
    numbers = np.array(columns, np.float64).T
    score, xmin, ymin, xmax, ymax = numbers.T
    for good, wanted in (
        ((score >= 0) & (score <= 1), "want a score from 0 to 1"),
        ((np.abs(numbers[:, 1:]) < 2**24).all(axis=1), "want corners in pixels"),
        ((xmin <= xmax) & (ymin <= ymax), "want xmin <= xmax and ymin <= ymax"),
    ):
        if not good.all():
            _refuse(boxes, ~good, wanted)
    return numbers


def _refuse(boxes: list[Any], bad: Any, wanted: str) -> None:
    for number, (box, is_bad) in enumerate(zip(boxes, bad, strict=True), start=1):
        if is_bad:
            raise ValueError(f"box {number} of {len(boxes)}: {wanted}, there is {str(box)[:80]}")


def _faults(rows: list[Row], image_ids: Collection[str], ids: dict[str, str] | None) -> Iterator[str]:
    """For each row what is wrong with its shape, its image or its id, "" where nothing is."""
    counted = {str(number) for number in range(1, len(rows) + 1)}
    images_seen, ids_seen = dict[str, int](), dict[str, int]()
    for row in rows:
        if row.fault:
            yield row.fault
        elif not row.image_id or row.image_id not in image_ids:
            yield "unknown image"
        elif row.image_id in images_seen:
            yield f"the image is on line {images_seen[row.image_id]} already"
        elif row.id in ids_seen:
            yield f"the id is on line {ids_seen[row.id]} already"
        elif ids is not None and row.id != ids[row.image_id]:
            yield f"want the sample's id {ids[row.image_id]}"
        elif ids is None and row.id not in counted:
            yield f"want an id from 1 to {len(rows)}"
        else:
            yield ""
        images_seen.setdefault(row.image_id, row.line)
        ids_seen.setdefault(row.id, row.line)


def _refuse_other_images(sample: Path, wanted: Collection[str], there: Collection[str]) -> None:
    for extra, what in (
        (set(wanted) - set(there), "images that are not in the table"),
        (set(there) - set(wanted), "not all images of the table, it lacks"),
    ):
        if extra:
            raise InputError(f"{sample} lists {what}: {len(extra)}, such as {', '.join(sorted(extra)[:5])}")


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """csv stops at 131,072 characters by default, some 3000 boxes."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)
