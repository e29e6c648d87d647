"""The rows of a competition's CSV as text: which image, which number, and a cell not parsed yet.

A file of 5000 images and 300 boxes each has 70 MB, nearly all of it in cells. Python's csv copies
each of them; a file that a program wrote needs no copy, since its cells can be pointed at:
`_plain_rows` finds them with bytes.find, and leaves any file with a peculiarity to `_rows`.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from evaluate.exceptions import BadRows, InputError, refuse
from submit.csv.profile import Profile


class Row(NamedTuple):
    """One row of the file."""

    line: int  # where it starts, from 1
    number: str  # "" where the competition does not number rows
    image: str  # what the CSV calls it
    cell: memoryview  # UTF-8
    fault: str  # what is wrong with its shape, "" if nothing is

    def __str__(self) -> str:
        parts = {"line": self.line, "id": self.number, "image": self.image}
        return ", ".join(f"{name} {value}" for name, value in parts.items() if value)


@dataclass(frozen=True)
class Columns:
    """How many columns there are, and which is which; number is -1 where rows are not numbered."""

    count: int
    number: int
    image: int
    cell: int

    @classmethod
    def of(cls, profile: Profile) -> "Columns":
        place = {name: column for column, name in enumerate(profile.header)}
        number = place.get(profile.number, -1)
        return cls(len(place), number, place[profile.image], place[profile.cell])

    def row(self, line: int, fields: Sequence[str], cell: memoryview) -> Row:
        number = fields[self.number] if self.number >= 0 else ""
        return Row(line, number, fields[self.image], cell, "")

    def fields(self, number: str, image: str, cell: str) -> list[str]:
        """The three in the order of the columns."""
        by_column = {self.number: number, self.image: image, self.cell: cell}
        return [by_column[column] for column in range(self.count)]


@dataclass(frozen=True)
class Sample:
    """A competition's sample_submission.csv: the names of its columns, and its rows by image, in
    order.
    """

    header: tuple[str, ...]
    rows: dict[str, Row]


def read_sample(path: Path, profile: Profile) -> Sample:
    """A sample's rows. Its columns stand in the profile's order, under any names.

    Raises BadRows for rows of another shape, InputError for an image or an id that is there twice.
    """
    header, rows = _read(path, profile)
    if len(header) != len(profile.header):
        wanted = f"{len(profile.header)} columns such as"
        raise BadRows([_other_header(header, wanted, profile.header)], file=path)
    refuse([f"{row}: {row.fault}" for row in rows if row.fault], file=path)
    by_image = {row.image: row for row in rows}
    numbers = {row.number for row in rows}
    if len(by_image) < len(rows) or (profile.number and len(numbers) < len(rows)):
        raise InputError(f"{path}: want every image and every id once, some are there twice")
    return Sample(header, by_image)


def read_rows(path: Path, profile: Profile, header: tuple[str, ...]) -> list[Row]:
    """Every row under the header, blank lines passed over. Raises BadRows on another header."""
    given, rows = _read(path, profile)
    if given != header:
        raise BadRows([_other_header(given, "the header", header)], file=path)
    return rows


def quoted(text: str) -> str:
    """A field as CSV wants it. csv.writer looks at each character, which takes 20 times longer."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def _other_header(given: tuple[str, ...], kind: str, wanted: tuple[str, ...]) -> str:
    hint = "" if set(given) == {""} else "; or want another --profile?"
    return f"line 1: want {kind} {','.join(wanted)}, there is {','.join(given)[:60]!r}{hint}"


def _read(path: Path, profile: Profile) -> tuple[tuple[str, ...], list[Row]]:
    """-> the names of the columns, as many as there are, and the rows under them."""
    data, columns = path.read_bytes(), Columns.of(profile)
    rows = _plain_rows(data, columns) or _rows(_text(path, data), columns)
    if not rows or rows[0].fault:
        return tuple(_text(path, data).partition("\n")[0].rstrip("\r").split(",")), rows[1:]
    first = rows[0]
    return tuple(columns.fields(first.number, first.image, str(first.cell, "utf-8"))), rows[1:]


def _plain_rows(data: bytes, columns: Columns) -> list[Row]:
    """The rows of a file that is plain; empty for any other file.

    Plain is ASCII, one row per line, the cell in the last column, and quotes only around whole
    cells. Of such a file the result equals that of `_rows`, but cells are views of `data`, not
    copies.
    """
    rows, view = list[Row](), memoryview(data)
    plain_file = data.isascii() and b"\r" not in data and columns.cell == columns.count - 1
    line, start = 0, 0 if plain_file else len(data)
    while start < len(data):
        line, stop = line + 1, data.find(b"\n", start)
        stop = len(data) if stop < 0 else stop

        # the commas before the cell: of three columns two, of two columns one
        first = data.find(b",", start, stop)
        last = data.find(b",", first + 1, stop) if columns.count == 3 else first

        # the cell: in quotes from end to end, or without a quote or a comma
        if data.startswith(b'"', last + 1, stop):
            cell = view[last + 2 : stop - 1]
            plain = data.find(b'"', last + 2, stop) == stop - 1
        else:
            cell = view[last + 1 : stop]
            plain = data.find(b'"', last + 1, stop) < 0 and data.find(b",", last + 1, stop) < 0

        if start < stop:  # not a blank line
            if not plain or first < 0 or last < 0 or b'"' in data[start:last]:
                return []
            rows.append(columns.row(line, data[start:last].decode().split(","), cell))
        start = stop + 1
    return rows


def _rows(text: str, columns: Columns) -> list[Row]:
    """The rows of any CSV."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, end = list[Row](), 0
    with _cells_of_any_length():
        try:
            for fields in lines:
                start, end = end + 1, lines.line_num
                if fields:
                    rows.append(_row(start, fields, columns))
        except csv.Error as error:
            rows.append(Row(end + 1, "", "", memoryview(b""), f"not a row of a CSV: {error}"))
    return rows


def _row(line: int, fields: list[str], columns: Columns) -> Row:
    padded = fields + [""] * columns.count
    row = columns.row(line, padded, memoryview(padded[columns.cell].encode()))
    if len(fields) == columns.count:
        return row
    fault = f"want {columns.count} columns, there are {len(fields)}: is the cell in quotes?"
    return row._replace(fault=fault)


def _text(path: Path, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadRows([f"line {line}: not UTF-8: {error.reason}"], file=path) from None


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """Lifts the limit of the csv module, 131,072 characters or some 3000 boxes, inside a `with`."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)
