"""One cell of a competition's CSV: the boxes of an image as text, and back."""

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

import numpy as np

from evaluate.tables import Array, Detections, rank_key
from submit.csv import list_cells
from submit.csv.cell_fields import CellFields, refuse_boxes
from submit.csv.coordinates import to_written
from submit.csv.profile import Profile
from submit.csv.word_cells import parse_words

# what stands before a box or a cell, between its parts, and after it
MARKS = {"list": ("[", ", ", "]"), "words": ("", " ", "")}


def format_cells(dets: Detections, profile: Profile, sizes: Array | None = None) -> Iterator[str]:
    """One cell for each image of the table, in table order, best box first.

    sizes: (I, 2) width and height of the photos, for normalized coordinates.
    """
    dets = dets.take(np.argsort(rank_key(dets.image, dets.score), kind="stable"))
    codes = profile.codes(dets.classes)
    if profile.quoted:
        codes = list(map(repr, codes))
    written = to_written(dets.xyxy, profile, None if sizes is None else sizes[dets.image])
    columns = dict(zip(profile.box, written.T.tolist(), strict=True))
    columns |= {
        "score": dets.score.tolist(),
        "class": [codes[label] for label in dets.label.tolist()],
    }

    # one % per box is faster than a format call per number
    before, between, after = MARKS[profile.codec]
    formats = {"score": f"%.{profile.score_decimals}f", "class": "%s"}
    fields = [formats.get(name, f"%.{profile.decimals}f") for name in profile.fields]
    template = before + between.join(fields) + after
    values = zip(*(columns[name] for name in profile.fields), strict=True)
    boxes = [template % box for box in values]

    edges = np.searchsorted(dets.image, np.arange(len(dets.image_ids) + 1))
    return (
        before + between.join(boxes[start:stop]) + after if start < stop else profile.empty
        for start, stop in pairwise(edges.tolist())
    )


def parse_cell(
    cell: str, profile: Profile, codes: Collection[str] | None
) -> tuple[list[str], Array]:
    """A cell -> what it calls the classes of its n boxes; score and the four of `profile.box` (n,
    5).

    Raises ValueError naming what is wrong with how the cell or a box is spelt, or a class that is
    not one of `codes`. Whether the numbers are in range is for `number_checks`.
    """
    fields = _parse(cell, profile)
    classes = [str(code) for code in fields.values.get("class", [""] * len(fields.values["score"]))]
    if codes is not None and set(classes).difference(codes):
        refuse_boxes(fields.box, (code not in codes for code in classes), "unknown class")
    return classes, _numbers(fields, profile)


def parse_plain_cells(
    cells: Sequence[memoryview], profile: Profile, codes: Sequence[str]
) -> tuple[Array, Array, Array]:
    """n cells in UTF-8 -> boxes of each (n,); for N boxes places in codes (N,), numbers (N, 5).

    A cell with -1 boxes has to be read by `parse_cell`: it is spelt in another way, or there are so
    few that compiled code does not pay.
    """
    if list_cells.plain_lists_pay(cells, profile):
        return list_cells.parse_plain_lists(cells, codes)
    return np.full(len(cells), -1), np.empty(0, np.int16), np.empty((0, 5))


def number_checks(numbers: Array, profile: Profile) -> Iterator[tuple[Array, str]]:
    """For each check which boxes pass (n,), and what is wanted of the others.

    numbers: score and the four of `profile.box` (n, 5).
    """
    score, *box = numbers.T
    yield (score >= 0) & (score <= 1), "want a score from 0 to 1"
    if profile.normalized:
        inside = np.all([(side >= 0) & (side <= 1) for side in box], axis=0)
        yield inside, "want normalized coordinates, from 0 to 1"
    else:
        sane = np.all([(side > -(2**24)) & (side < 2**24) for side in box], axis=0)
        yield sane, "want corners in pixels"
    if profile.box[2] == "width":
        yield (box[2] >= 0) & (box[3] >= 0), "want a width and a height of 0 or more"
    else:
        yield (box[0] <= box[2]) & (box[1] <= box[3]), "want xmin <= xmax and ymin <= ymax"


def refuse_numbers(cell: str, profile: Profile) -> None:
    """Raise ValueError naming a box of the cell that fails one of `number_checks`, if any does."""
    fields = _parse(cell, profile)
    for good, wanted in number_checks(_numbers(fields, profile), profile):
        refuse_boxes(fields.box, ~good, wanted)


def _parse(cell: str, profile: Profile) -> CellFields:
    if cell == profile.empty or (profile.codec == "list" and not cell.strip()):
        return CellFields(dict.fromkeys(profile.fields, ()), str)
    if profile.codec == "list":
        return list_cells.parse_list(cell, profile)
    return parse_words(cell, profile)


def _numbers(fields: CellFields, profile: Profile) -> Array:
    """Score and the four of `profile.box` (n, 5)."""
    columns = [fields.values[name] for name in ("score", *profile.box)]
    return np.array(columns, np.float64).T
