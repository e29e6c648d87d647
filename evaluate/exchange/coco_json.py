"""COCO's JSON: results, a list of boxes with numbers for image and class, and truth, which says what those mean.

    [{"image_id": 42, "category_id": 18, "bbox": [258.15, 41.29, 348.26, 243.78], "score": 0.236}, ...]

`bbox` is x, y, width, height in pixels from 0. Source: https://cocodataset.org/#format-results, #format-data
Differs: `difficult` is written as `iscrowd` and read from it, COCO's nearest notion (as in evaluate.metrics.coco).

Numbers have float64's digits. Edges come back exactly, because x + (x2 - x) is x2 again after rounding to float32,
unless one is 2**28 times as far from 0 as the other.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from evaluate.exceptions import InputError, refuse
from evaluate.exchange.names import bare_name
from evaluate.exchange.rows import Found, as_table, faults
from evaluate.files import written_whole
from evaluate.tables import Array, Boxes, Detections, GroundTruth

Size = tuple[int, int]  # height, width
Number = int | str  # COCO's are integers; some tools write the photo's name


@dataclass(frozen=True)
class CocoNumbers:
    """What COCO files call the images and classes of a table, in table order."""

    images: dict[str, Number]  # image_id -> number
    classes: dict[str, Number]  # class -> number

    @classmethod
    def of(cls, image_ids: Sequence[str], classes: Sequence[str]) -> "CocoNumbers":
        """Images have the number they are named by, as 139 for val2017/000000000139.jpg, when all are named so.

        Else they count from 1 in sorted order. Classes count from 1 in label order, as COCO's do: results that count
        them from 0, as YOLOv5's, need a ground truth that does so too.
        """
        stems = [PurePosixPath(image_id).stem for image_id in image_ids]
        named = [
            int(stem) for stem in stems if stem.isascii() and stem.isdigit() and len(stem) < 16
        ]
        rank = {image_id: n for n, image_id in enumerate(sorted(image_ids), start=1)}
        numbers = (
            named if len(set(named)) == len(stems) else [rank[image_id] for image_id in image_ids]
        )
        images: dict[str, Number] = dict(zip(image_ids, numbers, strict=True))
        return cls(images, {name: n for n, name in enumerate(classes, start=1)})

    @classmethod
    def read(cls, path: Path) -> "CocoNumbers":
        """Those of a COCO ground truth; annotations are not needed. An image_id is the file_name.

        Classes come in the order of their numbers. Raises BadRows naming numbers and names that are there twice.
        """
        return _numbers(path, _load(path))


def read_results(path: Path, numbers: CocoNumbers) -> Detections:
    """The detections that a results file holds, in its order, over the images and classes of `numbers`.

    YOLOv5 writes a photo's name without suffix where that is no number: such an image_id is understood too.
    Raises BadRows with every bad result, counted from 1: an image or category that `numbers` lacks, a bbox that
    is not four numbers, NaN, a negative width or height, a score outside [0, 1].
    """
    rows = _load(path)
    if not isinstance(rows, list):
        raise InputError(
            f"{path}: want a list of results, there is a JSON {type(rows).__name__}: is it a truth?"
        )
    found, problems = _found(path, rows, numbers, "result", scored=True)
    refuse(problems)
    return as_table(
        Detections, tuple(numbers.images), tuple(numbers.classes), found, found.score or []
    )


def read_truth(path: Path) -> GroundTruth:
    """The truth in a COCO JSON, with or without photos at hand; boxes are exactly as there, those without area too.

    Raises BadRows with every bad annotation, as `read_results`, and for annotation ids that are there twice.
    """
    content = _load(path)
    numbers = _numbers(path, content)
    rows = content.get("annotations")
    if not isinstance(rows, list):
        raise InputError(f"{path}: want annotations, a list; there is {type(rows).__name__}")
    found, problems = _found(path, rows, numbers, "annotation", scored=False)
    ids = [row["id"] for row in rows if isinstance(row, dict) and "id" in row]
    problems += [f"{path}: annotation id {name} is there {n} times" for name, n in _repeated(ids)]
    refuse(problems)
    crowd = [bool(row.get("iscrowd", 0)) for row in rows]
    return as_table(GroundTruth, tuple(numbers.images), tuple(numbers.classes), found, crowd)


def write_results(dets: Detections, path: Path, numbers: CocoNumbers) -> None:
    """Write a results file, in table order, whole or not at all.

    Raises BadRows naming images that either of table and `numbers` lacks, and classes that `numbers` lacks.
    """
    rows = _rows(dets, _agreed(dets, numbers), score=dets.score)
    _write(rows, path)


def write_truth(
    truth: GroundTruth,
    path: Path,
    numbers: CocoNumbers | None = None,
    *,
    sizes: Sequence[Size] | None = None,
) -> None:
    """Write a ground truth with `numbers`, by default its own, whole or not at all. Raises as `write_results`.

    sizes: (height, width) in step with truth.image_ids; pycocotools does without, some other tools do not.
    """
    numbers = _agreed(truth, numbers or CocoNumbers.of(truth.image_ids, truth.classes))
    size = truth.xyxy[:, 2:].astype(np.float64) - truth.xyxy[:, :2]
    own = {
        "id": np.arange(1, len(truth) + 1),
        "iscrowd": truth.difficult.astype(int),
        "area": size.prod(axis=1),
    }
    pairs = zip(truth.image_ids, sizes or [], strict=sizes is not None)
    declared = {image_id: {"height": height, "width": width} for image_id, (height, width) in pairs}
    content = {
        "info": {},
        "images": [
            {"id": n, "file_name": name, **declared.get(name, {})}
            for name, n in numbers.images.items()
        ],
        "annotations": _rows(truth, numbers, **own),
        "categories": [{"id": number, "name": name} for name, number in numbers.classes.items()],
    }
    _write(content, path)


def _found(
    path: Path, rows: list[Any], numbers: CocoNumbers, what: str, *, scored: bool
) -> tuple[Found, list[str]]:
    """Boxes, and a line for each row that is bad."""
    image_at, label_at = (
        {str(n): row for row, n in enumerate(names.values())}
        for names in (numbers.images, numbers.classes)
    )
    bare = [bare_name(image_id) for image_id in numbers.images]
    shared = {name for name, _ in _repeated(bare)}
    image_at = {name: row for row, name in enumerate(bare) if name not in shared} | image_at
    want = {"image_id", "category_id", "bbox", *(["score"] if scored else [])}
    problems, at = [], list[int]()
    image, label, score, boxes = list[int](), list[int](), list[float](), list[list[float]]()
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not want <= row.keys():
            problems.append(
                f"{path}: {what} {number}: want {', '.join(sorted(want))}: {json.dumps(row)[:100]}"
            )
            continue
        bbox = row["bbox"]
        at.append(number)
        image.append(image_at.get(str(row["image_id"]), -1))
        label.append(label_at.get(str(row["category_id"]), -1))
        boxes.append(
            [_number(v) for v in bbox]
            if isinstance(bbox, list) and len(bbox) == 4
            else [np.nan] * 4
        )
        score.append(_number(row["score"]) if scored else 0)
    xyxy = np.array(boxes, np.float64).reshape(-1, 4)
    with np.errstate(over="ignore", invalid="ignore"):
        xyxy[:, 2:] += xyxy[:, :2]
    found = Found(image, label, xyxy, score if scored else None)
    for row, wrong in sorted(faults(found).items()):
        problems.append(f"{path}: {what} {at[row]}: {wrong}: {json.dumps(rows[at[row] - 1])[:160]}")
    return found, problems


def _numbers(path: Path, content: Any) -> CocoNumbers:
    columns: list[dict[str, Number]] = []
    problems = []
    for key, name in (("images", "file_name"), ("categories", "name")):
        rows = content.get(key) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(
            isinstance(row, dict) and {"id", name} <= row.keys() for row in rows
        ):
            raise InputError(f"{path}: want {key}, a list of objects with id and {name}")
        if not all(type(row["id"]) in (int, str) for row in rows):
            raise InputError(f"{path}: want whole numbers or text as ids of {key}")
        if key == "categories":
            rows = sorted(rows, key=lambda row: (isinstance(row["id"], str), row["id"]))
        names = [str(row[name]) for row in rows]
        names = [PurePosixPath(text).as_posix() for text in names] if key == "images" else names
        problems += [
            f"{path}: {key}: id {n} is there {k} times"
            for n, k in _repeated([str(r["id"]) for r in rows])
        ]
        problems += [f"{path}: {key}: {name} {n} is there {k} times" for n, k in _repeated(names)]
        columns.append(dict(zip(names, (row["id"] for row in rows), strict=True)))
    refuse(problems)
    return CocoNumbers(*columns)


def _agreed(table: Boxes, numbers: CocoNumbers) -> CocoNumbers:
    """`numbers`, when they have a number for everything in the table and no other image. Raises BadRows."""
    problems = [
        f"class {name} has no number" for name in table.classes if name not in numbers.classes
    ]
    problems += [
        f"image {name} has no number" for name in table.image_ids if name not in numbers.images
    ]
    there = set(table.image_ids)
    problems += [f"image {name} was not looked at" for name in numbers.images if name not in there]
    refuse(problems)
    return numbers


def _rows(table: Boxes, numbers: CocoNumbers, **columns: Array) -> list[dict[str, Any]]:
    xyxy = table.xyxy.astype(np.float64)
    images = [numbers.images[name] for name in table.image_ids]
    classes = [numbers.classes[name] for name in table.classes]
    named = {
        "image_id": [images[i] for i in table.image],
        "category_id": [classes[i] for i in table.label],
        "bbox": np.hstack([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]]).tolist(),
    }
    named |= {name: column.tolist() for name, column in columns.items()}
    return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]


def _load(path: Path) -> Any:
    """Any JSON. NaN and Infinity, which Python programs write, are read here and refused with the row they are in."""
    try:
        return json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not whole JSON: {error.msg}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: want JSON in UTF-8: {error}") from None


def _write(content: Any, path: Path) -> None:
    with written_whole(path) as scratch:
        scratch.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _number(value: Any) -> float:
    """NaN for what is no JSON number."""
    try:
        return float(value) if type(value) in (int, float) else float("nan")
    except OverflowError:
        return float("inf")


def _repeated(names: list[Any]) -> list[tuple[Any, int]]:
    return [(name, count) for name, count in Counter(map(str, names)).items() if count > 1]
