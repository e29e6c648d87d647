"""Tables from and to COCO's JSON: results, and the ground truth that says what their ids mean.

    [{"image_id": 42, "category_id": 18, "bbox": [258.15, 41.29, 348.26, 243.78], "score": 0.236},
     ...]

`bbox` is x, y, width, height in pixels from 0. Numbers have float64's digits. Edges come back
exactly, because x + (x2 - x) is x2 again after rounding to float32, unless one is 2**28 times as
far from 0 as the other. How ids become images and classes: evaluate.exchange.coco_file.

Source: https://cocodataset.org/#format-results, #format-data
Differs: `difficult` is written as `iscrowd` and read from it, COCO's nearest notion (as in
evaluate.metrics.coco).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluate.exceptions import InputError, refuse
from evaluate.exchange.coco_file import (
    CocoFile,
    CocoNumbers,
    json_number,
    load_json,
    parse_bbox,
    repeated,
)
from evaluate.exchange.names import bare_name
from evaluate.exchange.rows import ParsedRows, Size, as_table, row_faults
from evaluate.files import written_whole
from evaluate.tables import Array, Boxes, Detections, GroundTruth

NAN = float("nan")


def read_results(path: Path, numbers: CocoNumbers) -> Detections:
    """The detections of a results file, in its order, over the images and classes of `numbers`.

    YOLOv5 writes a photo's name without suffix where that is no number: such an image_id is
    understood too, where only one image has that name. Raises BadRows with every bad result,
    counted from 1: an image or category that `numbers` lacks, a bbox that is not four numbers, NaN,
    a negative width or height, a score outside [0, 1].
    """
    rows = load_json(path)
    if not isinstance(rows, list):
        raise InputError(
            f"{path}: want a list of results, there is a JSON {type(rows).__name__}: is it a truth?"
        )
    bare = [bare_name(image_id) for image_id in numbers.images]
    shared = {name for name, _ in repeated(bare)}
    by_name = {name: row for row, name in enumerate(bare) if name not in shared}
    parsed, problems = _parse(path, rows, numbers, "result", by_name)
    refuse(problems)
    return as_table(Detections, tuple(numbers.images), tuple(numbers.classes), parsed)


def read_truth(path: Path) -> GroundTruth:
    """The truth in a COCO JSON, its photos not needed: `parse_truth`."""
    return parse_truth(CocoFile.read(path))


def parse_truth(file: CocoFile) -> GroundTruth:
    """The truth in a file whose shape is in order; boxes exactly as there, also those without area.

    Raises BadRows with every bad annotation, as `read_results`, and for ids that are there twice.
    """
    refuse(file.problems)
    path, rows = file.path, file.annotations
    if not isinstance(rows, list):
        raise InputError(f"{path}: want annotations, a list; there is {type(rows).__name__}")
    parsed, problems = _parse(path, rows, file.numbers, "annotation", None)
    ids = [row["id"] for row in rows if isinstance(row, dict) and "id" in row]
    problems += [f"{path}: annotation id {name} is there {n} times" for name, n in repeated(ids)]
    refuse(problems)
    parsed = parsed._replace(difficult=[bool(row.get("iscrowd", 0)) for row in rows])
    image_ids, classes = tuple(file.numbers.images), tuple(file.numbers.classes)
    return as_table(GroundTruth, image_ids, classes, parsed)


def write_results(dets: Detections, path: Path, numbers: CocoNumbers) -> None:
    """Write a results file, in table order, whole or not at all.

    Raises BadRows naming images that either of table and `numbers` lacks, and classes that
    `numbers` lacks.
    """
    _require_numbers(dets, numbers)
    _write(_rows(dets, numbers, score=dets.score), path)


def write_truth(
    truth: GroundTruth,
    path: Path,
    numbers: CocoNumbers | None = None,
    *,
    sizes: Sequence[Size] | None = None,
) -> None:
    """Write a ground truth with `numbers`, by default its own, whole or not at all.

    sizes: (height, width) in step with truth.image_ids; pycocotools does without, some other tools
    do not. Raises as `write_results`.
    """
    numbers = numbers or CocoNumbers.of(truth.image_ids, truth.classes)
    _require_numbers(truth, numbers)
    size = truth.xyxy[:, 2:].astype(np.float64) - truth.xyxy[:, :2]
    columns = {
        "id": np.arange(1, len(truth) + 1),
        "iscrowd": truth.difficult.astype(int),
        "area": size.prod(axis=1),
    }
    pairs = zip(truth.image_ids, sizes or [], strict=sizes is not None)
    declared = {image_id: {"height": height, "width": width} for image_id, (height, width) in pairs}
    content = {
        "info": {},
        "images": [
            {"id": number, "file_name": name, **declared.get(name, {})}
            for name, number in numbers.images.items()
        ],
        "annotations": _rows(truth, numbers, **columns),
        "categories": [{"id": number, "name": name} for name, number in numbers.classes.items()],
    }
    _write(content, path)


def _parse(
    path: Path, rows: list[Any], numbers: CocoNumbers, kind: str, by_name: dict[str, int] | None
) -> tuple[ParsedRows, list[str]]:
    """The boxes of results or annotations, and a problem for each row that is bad.

    kind: what the problems call a row. by_name: other names of images, of results; None for a
    truth.
    """
    image_row = {str(number): row for row, number in enumerate(numbers.images.values())}
    label_of = {str(number): row for row, number in enumerate(numbers.classes.values())}
    image_row = (by_name or {}) | image_row  # an id goes before a name
    fields = {"image_id", "category_id", "bbox"} | ({"score"} if by_name is not None else set())

    problems, places = [], list[int]()  # places: of each parsed row among `rows`
    image, label, score, boxes = list[int](), list[int](), list[float](), list[Any]()
    for place, row in enumerate(rows):
        if not isinstance(row, dict) or not fields <= row.keys():
            want = ", ".join(sorted(fields))
            problems.append(f"{path}: {kind} {place + 1}: want {want}: {json.dumps(row)[:100]}")
            continue
        places.append(place)
        image.append(image_row.get(str(row["image_id"]), -1))
        label.append(label_of.get(str(row["category_id"]), -1))
        boxes.append(parse_bbox(row["bbox"]) or [NAN] * 4)
        if by_name is not None:
            number = json_number(row["score"])
            score.append(NAN if number is None else number)

    xyxy = np.array(boxes, np.float64).reshape(-1, 4)
    parsed = ParsedRows(image, label, xyxy, None if by_name is None else score)
    for row, fault in sorted(row_faults(parsed).items()):
        place = places[row]
        problems.append(f"{path}: {kind} {place + 1}: {fault}: {json.dumps(rows[place])[:160]}")
    return parsed, problems


def _require_numbers(table: Boxes, numbers: CocoNumbers) -> None:
    """Raise BadRows unless `numbers` has all of the table's classes, and just its images."""
    problems = [
        f"class {name} has no number" for name in table.classes if name not in numbers.classes
    ]
    problems += [
        f"image {name} has no number" for name in table.image_ids if name not in numbers.images
    ]
    seen = set(table.image_ids)
    problems += [f"image {name} was not looked at" for name in numbers.images if name not in seen]
    refuse(problems)


def _rows(table: Boxes, numbers: CocoNumbers, **columns: Array) -> list[dict[str, Any]]:
    """One object per box: COCO's three fields and `columns`."""
    xyxy = table.xyxy.astype(np.float64)
    images = [numbers.images[name] for name in table.image_ids]
    classes = [numbers.classes[name] for name in table.classes]
    fields = {
        "image_id": [images[i] for i in table.image],
        "category_id": [classes[i] for i in table.label],
        "bbox": np.hstack([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]]).tolist(),
    }
    fields |= {name: column.tolist() for name, column in columns.items()}
    return [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)]


def _write(content: Any, path: Path) -> None:
    with written_whole(path) as scratch:
        scratch.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
