"""Detections as the VOC devkit wants results: one text file per class, one line per box.

    comp4_det_test_dog.txt
    000001 0.75 48.0 240.0 195.0 371.0      image score xmin ymin xmax ymax

Pixels are 1-based and inclusive, so a table's (x1, y1, x2, y2) is written as (x1 + 1, y1 + 1, x2,
y2). An image is called by its id without the photo's suffix. Numbers have float64's digits: what is
written here comes back as the same float32, except edges nearer to 0 than 1e-8 pixels.

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2007/devkit_doc_07-Jun-2007.pdf 8.2 (results)
Differs: an image may have spaces in its name, which the devkit's own MATLAB cannot read.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluate.exceptions import refuse
from evaluate.exchange.lines import shown_numbers, word_lines, write_lines
from evaluate.exchange.names import bare_names
from evaluate.exchange.rows import ParsedRows, as_table, number, row_faults
from evaluate.files import folder_written_whole
from evaluate.tables import Detections

COLUMNS = "image score xmin ymin xmax ymax"
PREFIX = "comp4_det_test"


def read_devkit(
    folder: Path, image_ids: Sequence[str], classes: Sequence[str], *, prefix: str = PREFIX
) -> Detections:
    """The detections in PREFIX_CLASS.txt for each class, in the order of `classes` and of the
    lines.

    Images are called by their id, or by their id without suffix. Raises BadRows with every bad line
    (unknown image, wrong number of columns, NaN, inside out, score outside [0, 1]), every file of
    an unknown class, and every class without a file: one without detections has an empty file.
    """
    image_row = {image_id: row for row, image_id in enumerate(image_ids)} | bare_names(image_ids)
    files = {
        path.stem.removeprefix(f"{prefix}_"): path
        for path in sorted(folder.glob("*.txt"))
        if path.name.startswith(f"{prefix}_")
    }
    problems = [
        f"{path}: unknown class {name!r}" for name, path in files.items() if name not in classes
    ]
    problems += [
        f"{folder / f'{prefix}_{name}.txt'}: there is no such file"
        for name in classes
        if name not in files
    ]

    image, label, numbers = list[int](), list[int](), [np.empty((0, 5))]
    for class_label, name in enumerate(classes):
        if name not in files:
            continue
        rows, bad = _read_class(files[name], class_label, image_row)
        problems += bad
        image += rows.image
        label += rows.label
        numbers.append(np.column_stack([rows.score or [], rows.xyxy]))
    refuse(problems)

    table = np.concatenate(numbers)  # (N, 5) score, xyxy
    parsed = ParsedRows(image, label, table[:, 1:], table[:, 0].tolist())
    return as_table(Detections, image_ids, classes, parsed)


def _read_class(path: Path, label: int, image_row: dict[str, int]) -> tuple[ParsedRows, list[str]]:
    """The boxes of one file, and a problem for each of its bad lines."""
    lines, bad = word_lines(path, COLUMNS, spaces=True)
    problems = [f"{path}:{line}: {wanted}" for line, wanted in bad]
    written = np.array([list(map(number, words[1:])) for _, words in lines], np.float64)
    written = written.reshape(-1, 5)  # (n, 5) score, xmin, ymin, xmax, ymax
    rows = ParsedRows(
        [image_row.get(words[0], -1) for _, words in lines],
        [label] * len(lines),
        written[:, 1:] - (1, 1, 0, 0),
        written[:, 0].tolist(),
    )
    for row, fault in sorted(row_faults(rows).items()):
        line, (image, *_) = lines[row]
        shown = f"{image} {shown_numbers(written[row].tolist())}"
        problems.append(f"{path}:{line}: {fault}: {shown}")
    return rows, problems


def write_devkit(dets: Detections, folder: Path, *, prefix: str = PREFIX) -> None:
    """Write PREFIX_CLASS.txt for each class to a new folder, lines in table order, all or nothing.

    Raises BadRows naming images and classes whose name a line or a file cannot hold.
    """
    names = list(bare_names(dets.image_ids))
    problems = [
        f"image {name!r}: want a name that a line can hold"
        for name in names
        if name != name.strip() or {*name} & {*"\r\n"}
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
            boxes = zip(*columns, strict=True)
            lines = (f"{names[i]} {shown_numbers(numbers)}\n" for i, *numbers in boxes)
            write_lines(scratch / f"{prefix}_{name}.txt", lines)
