"""Compiled reading of boxes as Python lists of [name, five numbers], in plain spelling.

Plain is what `repr`, `json.dumps` and format strings write: names in single or double quotes
without escapes, numbers as digits with at most one point and 15 digits, blanks anywhere between.

Why 15 digits: a number is read as an integer and divided by a power of ten once, so 47.25 is 4725 /
100. IEEE division gives the float nearest to the true quotient, provided both operands are exact.
An integer of at most 15 digits is (10^15 < 2^53), and so is 10^n for n up to 22. So the result is
the float nearest to 47.25, which is what Python's own reading returns. With 16 digits the integer
might be rounded first, and the quotient a second time; such numbers are left to Python.

Every function walks over the bytes of all cells, `text`, which has a 0 after each cell: no loop
needs to look for the end, since a 0 is neither blank, digit nor mark. A place is an index into
`text`; -1 is "not plain", and is passed on.
"""

from typing import Any

import numba
import numpy as np

DIGITS = 15
# powers as Python integers are exact, 10.0**n need not be
TENS = np.array([10**n for n in range(DIGITS + 1)], np.float64)
BLANK, COMMA, MINUS, POINT, ZERO, NINE, OPEN, CLOSE, ESCAPE = (ord(mark) for mark in " ,-.09[]\\")
QUOTES = (ord("'"), ord('"'))


@numba.njit(cache=True)
def parse_cells(
    text: Any, edges: Any, names: Any, names_edges: Any, count: Any, label: Any, numbers: Any
) -> int:
    """Fill count (n,), label (N,) and numbers (5, N). -> how many boxes there are in plain cells.

    text and names: the bytes of cells and of names, a 0 after each; edges: where each starts.
    """
    n = 0
    for cell in range(len(count)):
        stop = _cell(text, edges[cell], edges[cell + 1] - 1, names, names_edges, label, numbers, n)
        count[cell] = stop - n if stop >= 0 else -1
        n = max(n, stop)
    return n


@numba.njit(cache=True)
def _cell(
    text: Any, place: int, end: int, names: Any, edges: Any, label: Any, numbers: Any, n: int
) -> int:
    """Write the boxes of the cell place : end from row n on. -> the next free row, or -1."""
    place = _after(text, place, OPEN)
    last = _after(text, place, CLOSE)
    while last < 0:
        place = _after(text, place, OPEN)
        label[n], place = _name(text, place, names, edges)
        for column in range(5):
            numbers[column, n], place = _number(text, _after(text, place, COMMA))
        place = _after(text, place, CLOSE)
        if place < 0:
            return -1
        n += 1
        last = _after(text, place, CLOSE)
        if last < 0:
            place = _after(text, place, COMMA)
    while text[last] == BLANK:
        last += 1
    return n if last == end else -1


@numba.njit(cache=True)
def _after(text: Any, place: int, mark: int) -> int:
    """The place after `mark`, which has to come next but for blanks; else -1."""
    if place < 0:
        return -1
    while text[place] == BLANK:
        place += 1
    return place + 1 if text[place] == mark else -1


@numba.njit(cache=True)
def _name(text: Any, place: int, names: Any, edges: Any) -> Any:
    """-> row of the quoted name that comes next, the place after it; or -1, -1."""
    if place < 0:
        return -1, -1
    while text[place] == BLANK:
        place += 1
    quote, first = text[place], place + 1
    if quote not in QUOTES:
        return -1, -1
    for row in range(len(edges) - 1):
        place, k = first, edges[row]
        while (
            text[place] == names[k]
            and text[place] >= BLANK
            and text[place] != ESCAPE
            and text[place] != quote
        ):
            place, k = place + 1, k + 1
        if text[place] == quote and k == edges[row + 1] - 1:
            return row, place + 1
    return -1, -1


@numba.njit(cache=True)
def _number(text: Any, place: int) -> Any:
    """-> the number that comes next, the place after it; or 0.0, -1."""
    if place < 0:
        return 0.0, -1
    while text[place] == BLANK:
        place += 1
    negative = text[place] == MINUS
    place += negative

    # all digits as one integer, and how many of them stand before and behind the point
    first, digits = place, 0
    while ZERO <= text[place] <= NINE:
        digits = 10 * digits + text[place] - ZERO
        place += 1
    whole = place - first
    behind = 0
    if text[place] == POINT:
        place += 1
        while ZERO <= text[place] <= NINE:
            digits = 10 * digits + text[place] - ZERO
            place += 1
        behind = place - first - whole - 1
        if behind == 0:
            return 0.0, -1

    # left to Python: .5, too many digits, 01 (no number there), and -0 (an integer there, so 0.0)
    if (
        whole == 0
        or whole + behind > DIGITS
        or (whole > 1 and text[first] == ZERO)
        or (negative and digits == 0)
    ):
        return 0.0, -1
    value = digits / TENS[behind]
    return -value if negative else value, place
