"""Cells that are Python lists of one list per box: `[['dog', 0.91, 48, 240, 195, 371]]`.

Three readers, from the fastest to the most patient; each leaves to the next what it cannot read:

1. `parse_plain_lists` reads all cells of a file at once in compiled code (list_cells_kernel). It
   only knows the spelling that programs write, and needs a large file to pay for loading numba.
2. orjson: a list with one kind of quote is JSON but for the quotes, and is read 20 times faster
   than by Python itself.
3. Python's own `ast.literal_eval` reads whatever else is a list: `1.`, `.5`, `1_000`, `'do' 'g'`.

All three give the same numbers to the last bit.
"""

import ast
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import orjson

from evaluate.loops import Kernels
from evaluate.tables import Array
from submit.csv.cell_fields import CellFields, refuse_boxes
from submit.csv.profile import Profile

kernel = Kernels("submit.csv.list_cells_kernel")

Buffer = bytes | memoryview

PLENTY = 2**21  # characters that take longer to read without numba than numba takes to load
SHORTEST = len("['',0,0,0,0,0]")  # no box takes less


def plain_lists_pay(cells: Sequence[Buffer], profile: Profile) -> bool:
    """Whether `parse_plain_lists` understands such cells, and would be faster."""
    known = profile.quoted and profile.fields == ("class", "score", *profile.box)
    return known and sum(map(len, cells)) >= PLENTY


def parse_plain_lists(cells: Sequence[Buffer], names: Sequence[str]) -> tuple[Array, Array, Array]:
    """n cells in UTF-8 -> boxes of each cell (n,); for N boxes rows of names (N,), numbers (N, 5).

    A cell has -1 boxes when it is not plain, or has a name that is not among `names`.
    """
    text, edges = _joined(cells)
    listed, listed_edges = _joined([name.encode() for name in names])
    label = np.empty(len(text) // SHORTEST + 1, np.int16)  # room for as many boxes as could be
    numbers = np.empty((5, len(label)))
    count = np.empty(len(cells), np.int64)
    n = kernel.parse_cells(text, edges, listed, listed_edges, count, label, numbers)
    return count, label[:n], numbers[:, :n].T


def parse_list(cell: str, profile: Profile) -> CellFields:
    """The boxes of one cell. Raises ValueError naming what is wrong with the cell or with a box."""
    boxes = _evaluated(cell)
    box, names = boxes.__getitem__, profile.fields
    if not (set(map(type, boxes)) <= {list} and set(map(len, boxes)) <= {len(names)}):
        bad = (type(b) is not list or len(b) != len(names) for b in boxes)
        refuse_boxes(box, bad, f"want [{', '.join(names)}]")
    columns = dict(
        zip(names, zip(*boxes, strict=True) if boxes else [()] * len(names), strict=True)
    )
    if "class" in columns:
        kind, kind_name = (str, "string") if profile.quoted else (int, "whole number")
        if not set(map(type, columns["class"])) <= {kind}:
            bad = (type(code) is not kind for code in columns["class"])
            refuse_boxes(box, bad, f"want the class as a {kind_name}")
    numbers = [columns[name] for name in names if name != "class"]
    if not set(map(type, chain.from_iterable(numbers))) <= {int, float}:
        bad = (not set(map(type, five)) <= {int, float} for five in zip(*numbers, strict=True))
        refuse_boxes(box, bad, "want five numbers")
    return CellFields(columns, box)


def _evaluated(cell: str) -> list[Any]:
    """The list that the cell spells. Raises ValueError when it is none."""
    boxes: Any = None
    if "\\" not in cell and not ("'" in cell and '"' in cell):
        try:
            boxes = orjson.loads(cell.replace("'", '"'))
        except orjson.JSONDecodeError:
            pass  # Python may read it all the same
    if boxes is None:
        try:
            boxes = ast.literal_eval(cell)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            hint = ""
            if "np.float" in cell:
                hint = ", write plain numbers: NumPy prints np.float32(0.9)"
            raise ValueError(f"want a Python list, there is {cell[:60]!r}{hint}") from None
    if type(boxes) is not list:
        raise ValueError(f"want a Python list, there is {cell[:60]!r}")
    return boxes


def _joined(texts: Sequence[Buffer]) -> tuple[Array, Array]:
    """All bytes with a 0 after each text (B,) uint8; where each text starts, and B (n + 1,)."""
    edges = np.append(0, np.cumsum([len(text) + 1 for text in texts], dtype=np.int64))
    return np.frombuffer(b"\0".join([*texts, b""]), np.uint8), edges
