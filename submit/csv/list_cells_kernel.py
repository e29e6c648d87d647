"""Boxes as Python lists of [name, number, number, number, number, number], in plain spelling. Imports numba: late.

Plain is what `repr`, `json.dumps` and format strings write: names in single or double quotes without escapes, numbers
as digits with at most one point and 15 digits, blanks anywhere between. Of such a number the digits are an integer
below 2^53 and the power of ten is exact too, so one division rounds as Python's own reading does.
"""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

from evaluate.tables import Array

Buffer = bytes | memoryview

DIGITS = 15
TENS = np.array(
    [10**n for n in range(DIGITS + 1)], np.float64
)  # exact, as a power of floats need not be
SHORTEST = len("['',0,0,0,0,0]")
BLANK, COMMA, MINUS, POINT, ZERO, NINE, OPEN, CLOSE, ESCAPE = (ord(mark) for mark in " ,-.09[]\\")
QUOTES = (ord("'"), ord('"'))


def parse(cells: Sequence[Buffer], names: Sequence[str]) -> tuple[Array, Array, Array]:
    """n texts in UTF-8 -> how many boxes in each (n,) int; of boxes the row of names (N,) int16, the numbers (N, 5).

    -1 boxes is a text that is not plain, or has a name that is not listed.
    """
    text, edges = _joined(cells)
    listed, listed_edges = _joined([name.encode() for name in names])
    label = np.empty(len(text) // SHORTEST + 1, np.int16)
    numbers = np.empty((5, len(label)))
    count = np.empty(len(cells), np.int64)
    n = _parse(text, edges, listed, listed_edges, count, label, numbers)
    return count, label[:n], numbers[:, :n].T


def _joined(texts: Sequence[Buffer]) -> tuple[Array, Array]:
    """-> all bytes, a 0 after each text (B,) uint8; where each text starts, and B (n + 1,)."""
    edges = np.append(0, np.cumsum([len(text) + 1 for text in texts], dtype=np.int64))
    return np.frombuffer(b"\0".join([*texts, b""]), np.uint8), edges


@numba.njit(cache=True)
def _parse(
    text: Any, edges: Any, names: Any, names_edges: Any, count: Any, label: Any, numbers: Any
) -> int:
    """Fill count, label and numbers. -> how many boxes there are in plain cells."""
    n = 0
    for cell in range(len(count)):
        stop = _cell(text, edges[cell], edges[cell + 1] - 1, names, names_edges, label, numbers, n)
        count[cell] = stop - n if stop >= 0 else -1
        n = max(n, stop)
    return n


@numba.njit(cache=True)
def _cell(
    text: Any, at: int, end: int, names: Any, edges: Any, label: Any, numbers: Any, n: int
) -> int:
    """Write the boxes of the cell at : end from place n on. -> the next free place, or -1 where it is not plain."""
    at = _after(text, at, OPEN)
    last = _after(text, at, CLOSE)
    while last < 0:
        at = _after(text, at, OPEN)
        label[n], at = _name(text, at, names, edges)
        for column in range(5):
            numbers[column, n], at = _number(text, _after(text, at, COMMA))
        at = _after(text, at, CLOSE)
        if at < 0:
            return -1
        n += 1
        last = _after(text, at, CLOSE)
        if last < 0:
            at = _after(text, at, COMMA)
    while text[last] == BLANK:
        last += 1
    return n if last == end else -1


@numba.njit(cache=True)
def _after(text: Any, at: int, mark: int) -> int:
    """The place after the mark that comes next but for blanks, else -1."""
    if at < 0:
        return -1
    while text[at] == BLANK:
        at += 1
    return at + 1 if text[at] == mark else -1


@numba.njit(cache=True)
def _name(text: Any, at: int, names: Any, edges: Any) -> Any:
    """-> row of the quoted name that comes next, the place after it; or -1, -1."""
    if at < 0:
        return -1, -1
    while text[at] == BLANK:
        at += 1
    quote, first = text[at], at + 1
    if quote not in QUOTES:
        return -1, -1
    for row in range(len(edges) - 1):
        at, k = first, edges[row]
        while (
            text[at] == names[k] and text[at] >= BLANK and text[at] != ESCAPE and text[at] != quote
        ):
            at, k = at + 1, k + 1
        if text[at] == quote and k == edges[row + 1] - 1:
            return row, at + 1
    return -1, -1


@numba.njit(cache=True)
def _number(text: Any, at: int) -> Any:
    """-> the number that comes next, the place after it; or 0.0, -1."""
    if at < 0:
        return 0.0, -1
    while text[at] == BLANK:
        at += 1
    negative = text[at] == MINUS
    at += negative
    first, digits = at, 0
    while ZERO <= text[at] <= NINE:
        digits = 10 * digits + text[at] - ZERO
        at += 1
    whole = at - first
    behind = 0
    if text[at] == POINT:
        at += 1
        while ZERO <= text[at] <= NINE:
            digits = 10 * digits + text[at] - ZERO
            at += 1
        behind = at - first - whole - 1
        if behind == 0:
            return 0.0, -1
    if (
        whole == 0
        or whole + behind > DIGITS
        or (whole > 1 and text[first] == ZERO)
        or (negative and digits == 0)
    ):
        return 0.0, -1
    value = digits / TENS[behind]
    return -value if negative else value, at
