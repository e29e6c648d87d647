"""One cell of the competition's CSV: the boxes of an image as the text of a Python list."""

import ast
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
import orjson

from evaluate.tables import Array, Detections, rank_key

PLENTY = 2**21  # characters that take longer to read than numba to import


def write(dets: Detections) -> Iterator[str]:
    """One cell for each image of the table, in table order, best box first."""
    dets = dets.take(np.argsort(rank_key(dets.image, dets.score), kind="stable"))
    low = np.round(dets.xyxy[:, :2].astype(np.float64) + 1, 2) + 0  # + 0 turns -0.00 into 0.00
    high = np.maximum(np.round(dets.xyxy[:, 2:].astype(np.float64), 2) + 0, low)
    names = [repr(str(name)) for name in dets.classes]
    columns = (column.tolist() for column in (dets.label, dets.score, *low.T, *high.T))
    boxes = [
        f"[{names[label]}, {score:.5f}, {xmin:.2f}, {ymin:.2f}, {xmax:.2f}, {ymax:.2f}]"
        for label, score, xmin, ymin, xmax, ymax in zip(*columns, strict=True)
    ]
    edges = np.searchsorted(dets.image, np.arange(len(dets.image_ids) + 1))
    return (f"[{', '.join(boxes[a:b])}]" for a, b in pairwise(edges.tolist()))


def read(cell: str) -> list[Any]:
    """The list in a cell, its boxes unread. Raises ValueError.

    Cells with one kind of quote are JSON but for the quotes, and orjson reads them 20 times faster than Python does.
    """
    boxes: Any = None
    if not cell.strip():
        return []
    if "\\" not in cell and not ("'" in cell and '"' in cell):
        try:
            boxes = orjson.loads(cell.replace("'", '"'))
        except orjson.JSONDecodeError:
            pass  # Python still may read it: 1., .5, 1_000, 'do' 'g'
    if boxes is None:
        try:
            boxes = ast.literal_eval(cell)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            hint = ", write plain numbers: NumPy prints np.float32(0.9)" if "np.float" in cell else ""
            raise ValueError(f"want a Python list, there is {cell[:60]!r}{hint}") from None
    if type(boxes) is not list:
        raise ValueError(f"want a Python list, there is {cell[:60]!r}")
    return boxes


def numbers(boxes: list[Any], classes: Collection[str] | None) -> Array:
    """score, xmin, ymin, xmax, ymax of each box -> (n, 5) float64. Raises ValueError naming a bad box."""
    if not boxes:
        return np.empty((0, 5))
    bad = (type(box) is not list or len(box) != 6 for box in boxes)
    _refuse(boxes, bad, "want [class, score, xmin, ymin, xmax, ymax]")
    _refuse(boxes, (type(box[0]) is not str for box in boxes), "want the class as a string")
    if classes is not None:
        _refuse(boxes, (box[0] not in classes for box in boxes), "unknown class")
    columns = list(zip(*boxes, strict=True))[1:]
    if not set(map(type, chain.from_iterable(columns))) <= {int, float}:
        _refuse(boxes, (not set(map(type, box[1:])) <= {int, float} for box in boxes), "want five numbers")
    numbers = np.array(columns, np.float64).T
    score, xmin, ymin, xmax, ymax = numbers.T
    for good, wanted in (
        ((score >= 0) & (score <= 1), "want a score from 0 to 1"),
        ((np.abs(numbers[:, 1:]) < 2**24).all(axis=1), "want corners in pixels"),
        ((xmin <= xmax) & (ymin <= ymax), "want xmin <= xmax and ymin <= ymax"),
    ):
        if not good.all():
            _refuse(boxes, ~good, wanted)
    return numbers


def read_plain(cells: Sequence[memoryview], classes: Sequence[str]) -> tuple[Array, Array, Array]:
    """n cells in UTF-8 -> how many boxes in each (n,); their rows of classes (N,); their `numbers` (N, 5).

    -1 boxes is a cell that has to be read by `read`: it is spelt in another way, something is wrong with it, or there
    are so few that compiled code does not pay.
    """
    if sum(map(len, cells)) < PLENTY:
        return np.full(len(cells), -1), np.empty(0, np.int16), np.empty((0, 5))
    from evaluate.box_lists import parse

    count, label, found = parse(cells, classes)
    score, *corners = found.T
    xmin, ymin, xmax, ymax = corners
    good = (score >= 0) & (score <= 1) & (xmin <= xmax) & (ymin <= ymax)
    for corner in corners:
        good &= (corner > -(2**24)) & (corner < 2**24)
    if not good.all():
        of_box = np.repeat(np.arange(len(cells)), count.clip(min=0))
        count[of_box[~good]] = -1
        kept = count[of_box] >= 0
        label, found = label[kept], found[kept]
    return count, label, found


def _refuse(boxes: list[Any], bad: Any, wanted: str) -> None:
    """Raise ValueError naming the first of the boxes that are bad, if any is, and counting the others."""
    wrong = [number for number, (_, is_bad) in enumerate(zip(boxes, bad, strict=True), start=1) if is_bad]
    if wrong:
        more = f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
        raise ValueError(f"box {wrong[0]} of {len(boxes)}: {wanted}, there is {str(boxes[wrong[0] - 1])[:80]}{more}")
