"""The boxes of one cell, field by field, and how a bad box among them is named."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class CellFields(NamedTuple):
    """n boxes of a cell; each field has n values, numbers among them not checked yet."""

    values: Mapping[str, Sequence[Any]]  # by the names in `Profile.fields`
    box: Callable[[int], Any]  # one box as the cell spells it, for messages


def refuse_boxes(box: Callable[[int], Any], bad: Iterable[Any], wanted: str) -> None:
    """Raise ValueError naming the first bad box and counting the others; return when all are good.

    bad: for each box whether it is.
    """
    marks = list(bad)
    numbers = [number for number, is_bad in enumerate(marks) if is_bad]
    if numbers:
        first, more = numbers[0], len(numbers) - 1
        others = f", and {more} more like it" if more else ""
        written = str(box(first))[:80]
        raise ValueError(f"box {first + 1} of {len(marks)}: {wanted}, there is {written}{others}")
