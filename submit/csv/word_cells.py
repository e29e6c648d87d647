"""Cells of words with one blank between: `dog 0.91 48 240 195 371 cat 0.5 1 1 9 9`."""

from collections.abc import Sequence
from typing import Any

from submit.csv.cell_fields import CellFields, refuse_boxes
from submit.csv.profile import Profile


def parse_words(cell: str, profile: Profile) -> CellFields:
    """The boxes of a cell, as many words each as the profile has fields.

    Raises ValueError naming what is wrong with the cell or with a box.
    """
    words, names = cell.split(" "), profile.fields
    count = len(words) // len(names)
    if len(words) % len(names):
        hint = f"; an image without boxes has {profile.empty!r}" if not cell.strip() else ""
        raise ValueError(
            f"want {' '.join(names)} a box with one blank between, there is {cell[:60]!r}{hint}"
        )

    def box(number: int) -> str:
        return " ".join(words[number * len(names) :][: len(names)])

    columns: dict[str, Sequence[Any]] = {
        name: words[place :: len(names)] for place, name in enumerate(names)
    }
    if profile.classes == "numbers" and not all(map(str.isdecimal, set(columns.get("class", ())))):
        bad = (not code.isdecimal() for code in columns["class"])
        refuse_boxes(box, bad, "want the class as a whole number")
    try:
        numbers = {
            name: list(map(float, column)) for name, column in columns.items() if name != "class"
        }
    except ValueError:
        bad = (not _are_numbers(columns, number) for number in range(count))
        refuse_boxes(box, bad, "want five numbers")
        raise
    return CellFields(columns | numbers, box)


def _are_numbers(columns: dict[str, Sequence[str]], box: int) -> bool:
    try:
        return bool([float(column[box]) for name, column in columns.items() if name != "class"])
    except ValueError:
        return False
