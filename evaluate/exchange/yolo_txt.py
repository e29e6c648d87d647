"""Boxes as YOLO's text files: one file per photo, one line per box.

    labels/000001.txt
    11 0.342 0.61 0.4193 0.264 0.75      class, centre x and y, width, height, conf

The four numbers are normalized: x and width are divided by the photo's width, y and height by its
height. Lines of a truth have no conf. A photo without boxes may have no file at all. An image is
called by its id without the photo's suffix. Numbers have float64's digits: what is written here
comes back as the same float32, except edges nearer to 0 than 1e-8 of the side.

Source: https://github.com/ultralytics/yolov5/blob/master/detect.py (--save-txt --save-conf: conf
comes last); https://docs.ultralytics.com/datasets/detect/
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluate.exceptions import refuse
from evaluate.exchange.lines import shown_numbers, word_lines, write_lines
from evaluate.exchange.names import bare_names
from evaluate.exchange.rows import ParsedRows, Size, as_table, number, row_faults
from evaluate.files import folder_written_whole
from evaluate.tables import Array, Boxes, Detections

LABELS = "class cx cy w h"  # what a line of a truth holds
DETECTIONS = f"{LABELS} conf (as YOLOv5 writes with --save-txt --save-conf)"


def read_yolo(
    folder: Path, image_ids: Sequence[str], classes: Sequence[str], sizes: Sequence[Size]
) -> Detections:
    """The detections in NAME.txt for each image, in the order of `image_ids` and of the lines.

    sizes: (height, width) of the photos, in step with image_ids. When no photo has a file, the
    labels must be elsewhere. Raises BadRows for that, for files of no image (except classes.txt)
    and with every bad line, as `read_devkit` does.
    """
    names = bare_names(image_ids)
    files = {
        path.relative_to(folder).as_posix()[:-4]: path for path in sorted(folder.rglob("*.txt"))
    }
    problems = [
        f"{path}: unknown image"
        for name, path in files.items()
        if name not in names and name != "classes"
    ]
    if names and not names.keys() & files.keys():
        first = next(iter(names))
        problems.append(
            f"{folder}: want label files such as {first}.txt, there is none of any image"
        )

    image, label, numbers = list[int](), list[int](), [np.empty((0, 5))]
    for (name, image_row), size in zip(names.items(), sizes, strict=True):
        if name not in files:
            continue
        rows, bad = _read_photo(files[name], image_row, len(classes), size)
        problems += bad
        image += rows.image
        label += rows.label
        numbers.append(np.column_stack([rows.xyxy, rows.score or []]))
    refuse(problems)

    table = np.concatenate(numbers)  # (N, 5) xyxy, score
    parsed = ParsedRows(image, label, table[:, :4], table[:, 4].tolist())
    return as_table(Detections, image_ids, classes, parsed)


def _read_photo(
    path: Path, image_row: int, classes: int, size: Size
) -> tuple[ParsedRows, list[str]]:
    """The boxes of one file, and a problem for each of its bad lines."""
    lines, bad = word_lines(path, DETECTIONS)
    problems = [f"{path}:{line}: {wanted}" for line, wanted in bad]
    written = np.array([list(map(number, words[1:])) for _, words in lines], np.float64)
    written = written.reshape(-1, 5)  # (n, 5) cx, cy, w, h, conf
    rows = ParsedRows(
        [image_row] * len(lines),
        [read_label(words[0], classes) for _, words in lines],
        to_pixels(written[:, :4], size),
        written[:, 4].tolist(),
    )
    for row, fault in sorted(row_faults(rows).items()):
        line, (label, *_) = lines[row]
        shown = f"{label} {shown_numbers(written[row].tolist())}"
        problems.append(f"{path}:{line}: {fault}: {shown}")
    return rows, problems


def write_yolo(table: Boxes, folder: Path, sizes: Sequence[Size]) -> None:
    """Write NAME.txt for each image, also those without boxes, to a new folder, all or nothing.

    Lines are in table order. Raises BadRows naming images that no file can be named after.
    """
    names = list(bare_names(table.image_ids))
    refuse([f"image {name!r}: want a path below a folder" for name in names if not _is_path(name)])
    sides = np.array(sizes, np.float64).reshape(-1, 2)[:, ::-1]  # (I, 2) width, height
    cxcywh = _to_normalized(table.xyxy.astype(np.float64), sides[table.image])  # (N, 4)
    columns = [*cxcywh.T, *([table.score] if isinstance(table, Detections) else [])]
    with folder_written_whole(folder) as scratch:
        for name, rows in zip(names, table.rows_by_image(), strict=True):
            boxes = zip(*(column[rows].tolist() for column in (table.label, *columns)), strict=True)
            lines = (f"{label} {shown_numbers(numbers)}\n" for label, *numbers in boxes)
            path = scratch / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_lines(path, lines)


def read_label(word: str, classes: int) -> int:
    """The class of a line, or -1 for none of 0 ... classes - 1. YOLOv5 writes 3, others 3.0."""
    value = number(word)
    return int(value) if value in range(classes) else -1


def to_pixels(cxcywh_normalized: Array, size: Size) -> Array:
    """(n, 4) of a photo of (height, width) -> xyxy (n, 4) in its pixels."""
    side = np.array(size[::-1])
    centre, half = cxcywh_normalized[:, :2], cxcywh_normalized[:, 2:] / 2
    return np.hstack([(centre - half) * side, (centre + half) * side])


def _to_normalized(xyxy: Array, side: Array) -> Array:
    """xyxy (N, 4) in pixels, side (N, 2) width and height -> cxcywh_normalized (N, 4)."""
    low, high = xyxy[:, :2], xyxy[:, 2:]
    return np.hstack([(low + high) / 2 / side, (high - low) / side])


def _is_path(name: str) -> bool:
    """Whether name.txt stays below the folder it is written to."""
    return "\0" not in name and not {"", ".", ".."} & {*name.split("/")}
