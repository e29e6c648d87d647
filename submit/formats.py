"""The competition's CSV: a row an image, its boxes as a Python list in one cell.

    id,image_id,prediction_list
    1,000001.jpg,"[['dog', 0.91235, 48.00, 240.00, 195.00, 371.00], ['person', 0.88090, 8.00, 12.00, 352.00, 498.00]]"
    2,000002.jpg,[]

`id` counts from 1, or is what the competition's sample gives the image. Boxes are VOC's xmin, ymin, xmax, ymax:
1-based pixels, both ends inclusive, so a table's (x1, y1, x2, y2) is written as (x1 + 1, y1 + 1, x2, y2).
"""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evaluate.tables import Array, Detections, InputError, written_whole
from submit import cells

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
    cell: memoryview  # UTF-8
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
    cell_of = dict(zip(dets.image_ids, cells.write(dets), strict=True))
    with written_whole(path) as scratch, open(scratch, "w", newline="", encoding="utf-8") as file:
        file.write(",".join(HEADER) + "\n")
        for image_id, number in ids.items():
            file.write(f"{_quoted(number)},{_quoted(image_id)},{_quoted(cell_of[image_id])}\n")


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
    faults = list(_faults(rows, image_at, ids))
    names, row_of, label, numbers = _boxes(rows, faults, classes)
    problems = [f"{row}: {fault}" for row, fault in zip(rows, faults, strict=True) if fault]
    there = {row.image_id for row in rows}
    problems += [f"image {image_id} has no row" for image_id in image_ids if image_id not in there]
    if problems:
        raise SubmissionError(path, problems)
    image = np.array([image_at[row.image_id] for row in rows], np.int32)[row_of]
    score, xmin, ymin, xmax, ymax = numbers.T
    xyxy: Array = np.array([xmin - 1, ymin - 1, xmax, ymax], np.float32).T
    return Detections(tuple(image_ids), tuple(names), image, label, xyxy, score.astype(np.float32))


def _boxes(
    rows: list[Row], faults: list[str], classes: Sequence[str] | None
) -> tuple[Sequence[str], Array, Array, Array]:
    """The boxes of all rows, in order, but for bad cells, which become the fault of a row that has none yet.

    -> class names; of N boxes their row (N,), their place among the names (N,), and their `cells.numbers` (N, 5).
    """
    label_at = {name: label for label, name in enumerate(classes or ())}
    count, *plain = cells.read_plain([row.cell for row in rows], classes or ())
    row_of = [np.repeat(np.arange(len(rows)), count.clip(min=0))]
    labels, numbers = ([column] for column in plain)
    for place in np.flatnonzero(count < 0).tolist():
        try:
            boxes = cells.read(str(rows[place].cell, "utf-8"))
            numbers.append(cells.numbers(boxes, None if classes is None else label_at))
        except (ValueError, OverflowError) as error:
            faults[place] = faults[place] or str(error)
            continue
        row_of.append(np.full(len(boxes), place))
        labels.append(np.array([label_at.setdefault(box[0], len(label_at)) for box in boxes], np.int16))
    at, label, table = row_of[0], labels[0], numbers[0]
    if len(row_of) > 1:
        at, label, table = (np.concatenate(column) for column in (row_of, labels, numbers))
        in_order = np.argsort(at, kind="stable")
        at, label, table = at[in_order], label[in_order], table[in_order]
    if classes is None:
        classes = sorted(label_at)
        place_of = {name: place for place, name in enumerate(classes)}
        label = np.array([place_of[name] for name in label_at], np.int16)[label]
    return classes, at, label, table


def read_rows(path: Path) -> list[Row]:
    """Every row under the header, its cell unread. Skips blank lines. Raises SubmissionError on another header."""
    data = path.read_bytes()
    rows = _plain_rows(data) or _rows(_text(path, data))
    if not rows or (*rows[0][1:3], str(rows[0].cell, "utf-8"), rows[0].fault) != (*HEADER, ""):
        there = _text(path, data).partition("\n")[0][:60]
        raise SubmissionError(path, [f"line 1: want the header {','.join(HEADER)}, there is {there!r}"])
    return rows[1:]


def _plain_rows(data: bytes) -> list[Row]:
    """The rows of a file in ASCII with one row a line and quotes around whole cells alone; empty for any other file.

    Equal to `_rows`, without a copy of the cells.
    """
    rows, view = list[Row](), memoryview(data)
    line, start = 0, 0 if data.isascii() and b"\r" not in data else len(data)
    while start < len(data):
        line, stop = line + 1, data.find(b"\n", start)
        stop = len(data) if stop < 0 else stop
        first = data.find(b",", start, stop)
        second = data.find(b",", first + 1, stop)
        if data.startswith(b'"', second + 1, stop):
            cell = view[second + 2 : stop - 1]
            plain = data.find(b'"', second + 2, stop) == stop - 1
        else:
            cell = view[second + 1 : stop]
            plain = data.find(b'"', second + 1, stop) < 0 and data.find(b",", second + 1, stop) < 0
        if start < stop:
            if not plain or first < 0 or second < 0 or b'"' in data[start:second]:
                return []
            rows.append(Row(line, data[start:first].decode(), data[first + 1 : second].decode(), cell, ""))
        start = stop + 1
    return rows


def _rows(text: str) -> list[Row]:
    """The rows of any CSV."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, end = list[Row](), 0
    with _cells_of_any_length():
        try:
            for fields in lines:
                start, end = end + 1, lines.line_num
                number, image_id, cell = [*fields, "", "", ""][:3]
                fault = f"want 3 columns, there are {len(fields)}: is the list in quotes?" if len(fields) != 3 else ""
                if fields:
                    rows.append(Row(start, number, image_id, memoryview(cell.encode()), fault))
        except csv.Error as error:
            rows.append(Row(end + 1, "", "", memoryview(b""), f"not a row of a CSV: {error}"))
    return rows


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


def _text(path: Path, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SubmissionError(path, [f"line {line}: not UTF-8: {error.reason}"]) from None


def _quoted(text: str) -> str:
    """A field as CSV wants it. csv.writer looks at each character, which takes 20 times longer."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


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
