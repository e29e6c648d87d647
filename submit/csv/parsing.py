"""What a competition's CSV says, with every bad row named at once."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evaluate.exceptions import InputError, refuse
from evaluate.exchange.names import bare_name
from evaluate.tables import Array
from submit.csv import cells
from submit.csv.profile import Profile, load_profile
from submit.csv.rows import Row, Sample, read_rows, read_sample


class ParsedSubmission(NamedTuple):
    """What a CSV says, its boxes as they are written."""

    image_ids: tuple[str, ...]
    classes: tuple[str, ...]
    image: Array  # (N,) rows of image_ids
    label: Array  # (N,) rows of classes
    numbers: Array  # (N, 5) score and the four of `Profile.box`


class _Boxes(NamedTuple):
    """The N boxes of all cells that can be read, in the order of the cells."""

    cell: Array  # (N,)
    code: Array  # (N,) rows of codes
    numbers: Array  # (N, 5) as in ParsedSubmission
    codes: list[str]  # what cells call classes: those that were asked for, then others as they come
    faults: dict[int, str]  # by cell


def parse_submission(
    path: Path,
    classes: Sequence[str] | None = None,
    *,
    image_ids: Sequence[str] | None = None,
    profile: Profile | None = None,
    sample: Path | None = None,
) -> ParsedSubmission:
    """What a CSV says. Images come in the order of `image_ids`, else of the sample, else of the
    file.

    Without `classes` they are those that the profile lists, else those that the file names, sorted.

    Raises BadRows with every bad row at once. Bad are: a cell or box that is not spelt as the
    profile says, an unknown class, a score that is no number from 0 to 1, a corner that is no pixel
    or normalized coordinate, a box inside out, and an image or a number that is repeated, missing
    or not the sample's (without a sample: numbers from 1 to the last row).
    """
    # 1. the rows, and which images they should be about
    profile = profile or load_profile()
    asked = read_sample(sample, profile) if sample else None
    rows = read_rows(path, profile, asked.header if asked else profile.header)
    wanted = list(asked.rows) if asked else list(dict.fromkeys(row.image for row in rows))
    names = [name for name in wanted if profile.is_image(name)]
    others = [name for name in wanted if not profile.is_image(name)]
    if image_ids is None:
        image_ids = names
    else:
        expected = profile.names(image_ids)
        if asked and sample:
            require_same_images(sample, names, expected)
        names = expected

    # 2. what is wrong with each row, first of its shape, else of its cell
    faults = list(_row_faults(rows, names, asked, profile))
    about_images = [row for row, parsed in enumerate(rows) if profile.is_image(parsed.image)]
    classes = profile.listed if classes is None else tuple(classes)
    boxes = _parse_boxes([rows[row].cell for row in about_images], profile, classes)
    for cell, fault in boxes.faults.items():
        faults[about_images[cell]] = faults[about_images[cell]] or fault
    problems = [f"{row}: {fault}" for row, fault in zip(rows, faults, strict=True) if fault]
    with_row = {row.image for row in rows}
    problems += [f"image {name} has no row" for name in [*names, *others] if name not in with_row]
    refuse(problems, file=path)

    # 3. rows and codes become images and labels
    label = boxes.code
    if classes is None:
        classes = tuple(sorted(boxes.codes, key=_numeric if profile.classes == "numbers" else None))
        label = np.array([classes.index(code) for code in boxes.codes], np.int64)[label]
    image_row = {name: row for row, name in enumerate(names)}
    images = np.array([image_row[rows[row].image] for row in about_images], np.int32)
    return ParsedSubmission(
        tuple(image_ids), classes, images[boxes.cell], label.astype(np.int16), boxes.numbers
    )


def require_same_images(sample: Path, listed: Collection[str], names: Collection[str]) -> None:
    """Raise InputError unless a sample lists just the images of a table, by what the CSV calls
    them.
    """
    for extra, fault in (
        (set(listed) - set(names), "images that are not in the table"),
        (set(names) - set(listed), "not all images of the table, it lacks"),
    ):
        if extra:
            bare = {bare_name(name) for name in names}
            hint = "; want image_suffix in a profile file?" if extra <= bare else ""
            shown = ", ".join(sorted(extra)[:5])
            raise InputError(f"{sample} lists {fault}: {len(extra)}, such as {shown}{hint}")


def _parse_boxes(
    texts: list[memoryview], profile: Profile, classes: Sequence[str] | None
) -> _Boxes:
    """The boxes of all cells: in compiled code where they are plain, the others one by one."""
    codes = None if classes is None else profile.codes(classes)
    code_row = {code: row for row, code in enumerate(codes or ())}
    count, *plain = cells.parse_plain_cells(texts, profile, codes or ())
    cell_parts = [np.repeat(np.arange(len(texts)), count.clip(min=0))]
    code_parts, number_parts = ([column] for column in plain)

    known = None if codes is None else code_row
    faults = dict[int, str]()
    for cell in np.flatnonzero(count < 0).tolist():
        try:
            written = str(texts[cell], "utf-8")
            names, numbers = cells.parse_cell(written, profile, known)
        except (ValueError, OverflowError) as error:
            faults[cell] = str(error)
            continue
        for code in dict.fromkeys(names):
            code_row.setdefault(code, len(code_row))
        cell_parts.append(np.full(len(names), cell))
        code_parts.append(np.array(list(map(code_row.__getitem__, names)), np.int16))
        number_parts.append(numbers)

    cell_of, code_of, numbers = cell_parts[0], code_parts[0], number_parts[0]
    if len(cell_parts) > 1:
        parts = (cell_parts, code_parts, number_parts)
        cell_of, code_of, numbers = (np.concatenate(part) for part in parts)
        order = np.argsort(cell_of, kind="stable")
        cell_of, code_of, numbers = cell_of[order], code_of[order], numbers[order]

    # all numbers are checked at once; only a cell with a bad one is read again, to name the box
    good = np.all([passed for passed, _ in cells.number_checks(numbers, profile)], axis=0)
    for cell in np.unique(cell_of[~good]).tolist():
        try:
            cells.refuse_numbers(str(texts[cell], "utf-8"), profile)
        except ValueError as error:
            faults[cell] = str(error)
    return _Boxes(cell_of, code_of, numbers, list(code_row), faults)


def _row_faults(
    rows: list[Row], names: Collection[str], asked: Sample | None, profile: Profile
) -> Iterator[str]:
    """For each row what is wrong with its shape, its image or its number, "" where nothing is."""
    known, counted = set(names), {str(number) for number in range(1, len(rows) + 1)}
    image_line, number_line = dict[str, int](), dict[str, int]()  # where each was first seen
    for row in rows:
        if profile.is_image(row.image):
            unknown = row.image not in known
        else:
            unknown = asked is not None and row.image not in asked.rows
        if row.fault:
            yield row.fault
        elif not row.image or unknown:
            yield "unknown image"
        elif row.image in image_line:
            yield f"the image is on line {image_line[row.image]} already"
        elif profile.number and row.number in number_line:
            yield f"the id is on line {number_line[row.number]} already"
        elif asked and row.number != asked.rows[row.image].number:
            yield f"want the sample's id {asked.rows[row.image].number}"
        elif profile.number and not asked and row.number not in counted:
            yield f"want an id from 1 to {len(rows)}"
        else:
            yield ""
        image_line.setdefault(row.image, row.line)
        number_line.setdefault(row.number, row.line)


def _numeric(code: str) -> tuple[int, str]:
    """Sorts whole numbers as numbers: 9 before 10."""
    return len(code), code
