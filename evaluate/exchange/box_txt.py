"""Detections as lines of text: the VOC devkit's file a class, and YOLO's file a photo.

    comp4_det_test_dog.txt                     labels/000001.txt
    000001 0.75 48.0 240.0 195.0 371.0         11 0.342 0.61 0.4193 0.264 0.75
    image score xmin ymin xmax ymax            class, centre x and y, width, height as shares of the photo, conf

The devkit's pixels are 1-based and inclusive, so a table's (x1, y1, x2, y2) is written as (x1 + 1, y1 + 1, x2, y2).
Both call an image by its id without the photo's suffix. Numbers have float64's digits: what is written here comes
back as the same float32, but for edges nearer to 0 than 1e-8 pixels (devkit) or than 1e-8 of the side (YOLO).

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2007/devkit_doc_07-Jun-2007.pdf 8.2 (results);
https://github.com/ultralytics/yolov5/blob/master/detect.py (--save-txt --save-conf: conf comes last)
Differs: an image may have spaces in its name, which the devkit's own MATLAB cannot read.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluate.exceptions import refuse
from evaluate.exchange.names import bare_names
from evaluate.exchange.rows import (
    Found,
    as_table,
    faults,
    number,
    numbered_lines,
)
from evaluate.files import folder_written_whole
from evaluate.tables import Array, Boxes, Detections

DEVKIT = "image score xmin ymin xmax ymax"
YOLO = "class cx cy w h conf (as YOLOv5 writes with --save-txt --save-conf)"
Size = tuple[int, int]  # height, width


def read_devkit(
    folder: Path,
    image_ids: Sequence[str],
    classes: Sequence[str],
    *,
    prefix: str = "comp4_det_test",
) -> Detections:
    """The detections in PREFIX_CLASS.txt for each class, in the order of `classes` and of the lines.

    Images are called by their id, or by their id without suffix. Raises BadRows with every bad line (unknown
    image, wrong number of columns, NaN, inside out, score outside [0, 1]), unknown class and class without a file: one
    of which nothing was found has an empty file.
    """
    image_at = {image_id: row for row, image_id in enumerate(image_ids)} | bare_names(image_ids)
    listed = [path for path in sorted(folder.glob("*.txt")) if path.name.startswith(f"{prefix}_")]
    files = {path.stem.removeprefix(f"{prefix}_"): path for path in listed}
    problems = [
        f"{path}: unknown class {name!r}" for name, path in files.items() if name not in classes
    ]
    problems += [
        f"{folder / f'{prefix}_{name}.txt'}: there is no such file"
        for name in classes
        if name not in files
    ]
    image, label, numbers = list[int](), list[int](), [np.empty((0, 5))]
    for column, name in enumerate(classes):
        path = files.get(name)
        at, found, rows = _parse(path, problems, DEVKIT, spaces=True) if path else ([], [], [])
        table = np.array(rows, np.float64).reshape(-1, 5) - (0, 1, 1, 0, 0)
        here = [image_at.get(text, -1) for text in found]
        wrong = faults(Found(here, [column] * len(here), table[:, 1:], table[:, 0].tolist()))
        problems += [
            f"{path}:{at[row]}: {wrong[row]}: {found[row]} {_shown(rows[row])}"
            for row in sorted(wrong)
        ]
        image += here
        label += [column] * len(here)
        numbers.append(table)
    refuse(problems)
    table = np.concatenate(numbers)
    return as_table(Detections, image_ids, classes, Found(image, label, table[:, 1:]), table[:, 0])


def write_devkit(dets: Detections, folder: Path, *, prefix: str = "comp4_det_test") -> None:
    """Write PREFIX_CLASS.txt for each class to a new folder, lines in table order, all or nothing.

    Raises BadRows naming images and classes whose name a line or a file cannot hold.
    """
    names = list(bare_names(dets.image_ids))
    problems = [
        f"image {n!r}: want a name that a line can hold"
        for n in names
        if n != n.strip() or {*n} & {*"\r\n"}
    ]
    problems += [f"image {name!r}: want a name" for name in names if not name]
    problems += [
        f"class {name!r}: want a name that a file can have"
        for name in dets.classes
        if {*name} & {*"/\0"}
    ]
    refuse(problems)
    corners = dets.xyxy.astype(np.float64) + (1, 1, 0, 0)
    with folder_written_whole(folder) as scratch:
        for label, name in enumerate(dets.classes):
            rows = np.flatnonzero(dets.label == label)
            columns = (column[rows].tolist() for column in (dets.image, dets.score, *corners.T))
            lines = (
                f"{names[i]} {_shown(numbers)}\n" for i, *numbers in zip(*columns, strict=True)
            )
            _write(scratch / f"{prefix}_{name}.txt", lines)


def read_yolo(
    folder: Path, image_ids: Sequence[str], classes: Sequence[str], sizes: Sequence[Size]
) -> Detections:
    """The detections in NAME.txt for each image, in the order of `image_ids`; sizes: (height, width) in step with it.

    A photo without a file has no boxes, as everywhere in this format; when no photo has one, the labels are elsewhere.
    Raises BadRows for that, for files of no image (but classes.txt) and with every bad line, as `read_devkit`.
    """
    names = bare_names(image_ids)
    there = {
        path.relative_to(folder).as_posix()[:-4]: path for path in sorted(folder.rglob("*.txt"))
    }
    problems = [
        f"{path}: unknown image"
        for name, path in there.items()
        if name not in names and name != "classes"
    ]
    if names and not names.keys() & there.keys():
        problems.append(
            f"{folder}: want label files such as {next(iter(names))}.txt, there is none of any image"
        )
    image, label, numbers = list[int](), list[int](), [np.empty((0, 5))]
    for (name, row_of), (height, width) in zip(names.items(), sizes, strict=True):
        if name not in there:
            continue
        path = there[name]
        at, found, rows = _parse(path, problems, YOLO, spaces=False)
        table = np.array(rows, np.float64).reshape(-1, 5)
        table[:, :4] = _from_shares(table[:, :4], np.array([width, height]))
        here = [_label(text, len(classes)) for text in found]
        wrong = faults(Found([row_of] * len(here), here, table[:, :4], table[:, 4].tolist()))
        problems += [
            f"{path}:{at[row]}: {wrong[row]}: {found[row]} {_shown(rows[row])}"
            for row in sorted(wrong)
        ]
        image += [row_of] * len(here)
        label += here
        numbers.append(table)
    refuse(problems)
    table = np.concatenate(numbers)
    return as_table(Detections, image_ids, classes, Found(image, label, table[:, :4]), table[:, 4])


def write_yolo(table: Boxes, folder: Path, sizes: Sequence[Size]) -> None:
    """Write NAME.txt for each image, also those without boxes, to a new folder, all or nothing.

    Lines are in table order; those of a truth have no conf. Raises BadRows naming images no file can be named
    after.
    """
    names = list(bare_names(table.image_ids))
    refuse([f"image {name!r}: want a path below a folder" for name in names if not _is_path(name)])
    side = np.array(sizes, np.float64).reshape(-1, 2)[:, ::-1]  # (I, 2) width, height
    shares = _to_shares(table.xyxy.astype(np.float64), side[table.image])
    columns = [*shares.T, *([table.score] if isinstance(table, Detections) else [])]
    with folder_written_whole(folder) as scratch:
        for name, rows in zip(names, table.rows_by_image(), strict=True):
            here = (column[rows].tolist() for column in (table.label, *columns))
            path = scratch / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(
                path,
                (f"{label} {_shown(numbers)}\n" for label, *numbers in zip(*here, strict=True)),
            )


def _parse(
    path: Path, problems: list[str], want: str, *, spaces: bool
) -> tuple[list[int], list[str], list[Any]]:
    """-> line numbers, first words, and the five numbers after each, NaN for what is none.

    Lines of another shape go to `problems`; first words may hold `spaces`.
    """
    at, first, rows = list[int](), list[str](), []
    for line, text in numbered_lines(path):
        words = text.strip().rsplit(maxsplit=5 if spaces else -1)
        if len(words) != 6:
            problems.append(f"{path}:{line}: want {want}, there is {text.strip()[:80]!r}")
            continue
        at.append(line)
        first.append(words[0])
        rows.append([number(word) for word in words[1:]])
    return at, first, rows


def _label(text: str, classes: int) -> int:
    """-1 when it is not one of 0 ... classes - 1. YOLOv5 writes 3, others 3.0."""
    value = number(text)
    return int(value) if value in range(classes) else -1


def _to_shares(xyxy: Array, side: Array) -> Array:
    low, high = xyxy[:, :2], xyxy[:, 2:]
    return np.hstack([(low + high) / 2 / side, (high - low) / side])


def _from_shares(cxcywh: Array, side: Array) -> Array:
    centre, half = cxcywh[:, :2], cxcywh[:, 2:] / 2
    return np.hstack([(centre - half) * side, (centre + half) * side])


def _is_path(name: str) -> bool:
    """Whether name.txt stays below the folder it is written to."""
    return "\0" not in name and not {"", ".", ".."} & {*name.split("/")}


def _shown(numbers: Iterable[float]) -> str:
    return " ".join(map(repr, numbers))


def _write(path: Path, lines: Iterable[str]) -> None:
    with open(path, "w", newline="\n", encoding="utf-8") as file:
        file.writelines(lines)
