"""One cell of a competition's CSV: the boxes of an image as text, and back."""

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import orjson

from evaluate.tables import Array, Detections, rank_key
from submit.csv.coordinates import to_written
from submit.csv.profile import Profile

PLENTY = 2**21  # characters that take longer to read than numba to import
LISTED = {"list": ("[", ", ", "]"), "words": ("", " ", "")}  # what stands before, between and after


def write(dets: Detections, profile: Profile, sizes: Array | None = None) -> Iterator[str]:
    """One cell for each image of the table, in table order, best box first; sizes (I, 2): width and height."""
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
    forms = {"score": f"%.{profile.score_decimals}f", "class": "%s"}
    before, between, after = LISTED[profile.codec]
    form = (
        before
        + between.join(forms.get(name, f"%.{profile.decimals}f") for name in profile.fields)
        + after
    )
    boxes = [form % box for box in zip(*(columns[name] for name in profile.fields), strict=True)]
    edges = np.searchsorted(dets.image, np.arange(len(dets.image_ids) + 1))
    return (
        before + between.join(boxes[a:b]) + after if a < b else profile.empty
        for a, b in pairwise(edges.tolist())
    )


class Fields(NamedTuple):
    """The fields of the n boxes of a cell: of each its n values."""

    of: Mapping[str, Sequence[Any]]
    box: Callable[[int], Any]  # one box as the cell has it


def read(cell: str, profile: Profile, codes: Collection[str] | None) -> tuple[list[str], Array]:
    """The boxes in a cell -> what it calls their classes; score and the four of `profile.box` (n, 5).

    Raises ValueError naming what is wrong with how the cell or a box is spelt, or a class that is not one of `codes`.
    """
    found = _fields(cell, profile)
    classes = [str(code) for code in found.of.get("class", [""] * len(found.of["score"]))]
    if codes is not None and set(classes).difference(codes):
        _refuse(found.box, (code not in codes for code in classes), "unknown class")
    return classes, _numbers(found, profile)


def refuse_numbers(cell: str, profile: Profile) -> None:
    """Raise ValueError naming a box in the cell that fails one of `checks`, if any does."""
    found = _fields(cell, profile)
    for good, wanted in checks(_numbers(found, profile), profile):
        _refuse(found.box, ~good, wanted)


def checks(numbers: Array, profile: Profile) -> Iterator[tuple[Array, str]]:
    """Which boxes, score and the four of `profile.box` (n, 5), are in order (n,), and what is wanted of the others."""
    score, *box = numbers.T
    yield (score >= 0) & (score <= 1), "want a score from 0 to 1"
    if profile.unit == "shares":
        yield (
            np.all([(side >= 0) & (side <= 1) for side in box], axis=0),
            "want shares of the photo, from 0 to 1",
        )
    else:
        yield (
            np.all([(side > -(2**24)) & (side < 2**24) for side in box], axis=0),
            "want corners in pixels",
        )
    if profile.box[2] == "width":
        yield (box[2] >= 0) & (box[3] >= 0), "want a width and a height of 0 or more"
    else:
        yield (box[0] <= box[2]) & (box[1] <= box[3]), "want xmin <= xmax and ymin <= ymax"


def read_plain(
    cells: Sequence[memoryview], profile: Profile, codes: Sequence[str]
) -> tuple[Array, Array, Array]:
    """n cells in UTF-8 -> how many boxes in each (n,); of N boxes the places in codes (N,), the numbers (N, 5).

    -1 boxes is a cell that has to be read by `read`: it is spelt in another way, or there are so few that compiled code
    does not pay.
    """
    compiled = profile.quoted and profile.fields == ("class", "score", *profile.box)
    if not compiled or sum(map(len, cells)) < PLENTY:
        return np.full(len(cells), -1), np.empty(0, np.int16), np.empty((0, 5))
    from submit.csv.list_cells_kernel import parse

    return parse(cells, codes)


def _fields(cell: str, profile: Profile) -> Fields:
    if cell == profile.empty or (profile.codec == "list" and not cell.strip()):
        return Fields(dict.fromkeys(profile.fields, ()), str)
    return _list(cell, profile) if profile.codec == "list" else _words(cell, profile)


def _numbers(found: Fields, profile: Profile) -> Array:
    return np.array([found.of[name] for name in ("score", *profile.box)], np.float64).T


def _list(cell: str, profile: Profile) -> Fields:
    """A Python list of a list a box.

    Cells with one kind of quote are JSON but for the quotes, and orjson reads them 20 times faster than Python does.
    """
    boxes: Any = None
    if "\\" not in cell and not ("'" in cell and '"' in cell):
        try:
            boxes = orjson.loads(cell.replace("'", '"'))
        except orjson.JSONDecodeError:
            pass  # Python still may read it: 1., .5, 1_000, 'do' 'g'
    if boxes is None:
        try:
            boxes = ast.literal_eval(cell)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            hint = (
                ", write plain numbers: NumPy prints np.float32(0.9)" if "np.float" in cell else ""
            )
            raise ValueError(f"want a Python list, there is {cell[:60]!r}{hint}") from None
    if type(boxes) is not list:
        raise ValueError(f"want a Python list, there is {cell[:60]!r}")
    box, names = boxes.__getitem__, profile.fields
    if not (set(map(type, boxes)) <= {list} and set(map(len, boxes)) <= {len(names)}):
        _refuse(
            box,
            (type(b) is not list or len(b) != len(names) for b in boxes),
            f"want [{', '.join(names)}]",
        )
    columns = dict(
        zip(names, zip(*boxes, strict=True) if boxes else [()] * len(names), strict=True)
    )
    if "class" in columns:
        kind, what = (str, "string") if profile.quoted else (int, "whole number")
        if not set(map(type, columns["class"])) <= {kind}:
            _refuse(
                box,
                (type(code) is not kind for code in columns["class"]),
                f"want the class as a {what}",
            )
    numbers = [columns[name] for name in names if name != "class"]
    if not set(map(type, chain.from_iterable(numbers))) <= {int, float}:
        of_box = zip(*numbers, strict=True)
        _refuse(
            box, (not set(map(type, five)) <= {int, float} for five in of_box), "want five numbers"
        )
    return Fields(columns, box)


def _words(cell: str, profile: Profile) -> Fields:
    """Words with a blank between, as many a box as there are fields."""
    words, names = cell.split(" "), profile.fields
    count = len(words) // len(names)
    if len(words) % len(names):
        empty = f"; an image without boxes has {profile.empty!r}" if not cell.strip() else ""
        raise ValueError(
            f"want {' '.join(names)} a box with one blank between, there is {cell[:60]!r}{empty}"
        )

    def box(number: int) -> str:
        return " ".join(words[number * len(names) :][: len(names)])

    columns: dict[str, Sequence[Any]] = {
        name: words[at :: len(names)] for at, name in enumerate(names)
    }
    if profile.classes == "numbers" and not all(map(str.isdecimal, set(columns.get("class", ())))):
        _refuse(
            box,
            (not code.isdecimal() for code in columns["class"]),
            "want the class as a whole number",
        )
    try:
        numbers = {
            name: list(map(float, column)) for name, column in columns.items() if name != "class"
        }
    except ValueError:
        _refuse(box, (not _are_numbers(columns, at) for at in range(count)), "want five numbers")
        raise
    return Fields(columns | numbers, box)


def _are_numbers(columns: dict[str, Sequence[str]], at: int) -> bool:
    try:
        return bool([float(column[at]) for name, column in columns.items() if name != "class"])
    except ValueError:
        return False


def _refuse(box: Callable[[int], Any], bad: Iterable[Any], wanted: str) -> None:
    """Raise ValueError naming the first of the boxes that are bad, if any is, and counting the others."""
    marks = list(bad)
    wrong = [number for number, is_bad in enumerate(marks) if is_bad]
    if wrong:
        more = f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
        raise ValueError(
            f"box {wrong[0] + 1} of {len(marks)}: {wanted}, there is {str(box(wrong[0]))[:80]}{more}"
        )
