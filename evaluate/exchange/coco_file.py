"""The parts of COCO's JSON that every reader needs: which images and classes there are, and ids.

COCO never says "image 3 has a dog": annotations and results name an image and a category by id, and
only the ground truth says which photo and which class an id stands for. So results alone mean
nothing, and whoever writes results needs the ids of the ground truth they are scored against.

The rules here:

1. An image_id of ours is the image's `file_name`, as a POSIX path.
2. Classes come in the order of their ids, whatever the order in the file. COCO's own ids have gaps
   (1 ... 90 for 80 classes), so an id is not a label.
3. Ids are whole numbers in COCO; some tools write text. Both are compared as text, so that 7 and
   "7" are one id. An id, a file name or a class name that is there twice is refused: boxes could
   belong to either.

Source: https://cocodataset.org/#format-data
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from evaluate.exceptions import InputError, refuse

CocoId = int | str  # COCO's are integers; some tools write the photo's name


@dataclass(frozen=True)
class CocoNumbers:
    """What COCO files call the images and classes of a table, in table order."""

    images: dict[str, CocoId]  # image_id -> id
    classes: dict[str, CocoId]  # class -> id

    @classmethod
    def of(cls, image_ids: Sequence[str], classes: Sequence[str]) -> "CocoNumbers":
        """Ids for a table that has none.

        Images have the number they are named by, as 139 for val2017/000000000139.jpg, when all are
        named so; else they count from 1 in sorted order. Classes count from 1 in label order, as
        COCO's do: results that count them from 0, as YOLOv5's, need a ground truth that does so
        too.
        """
        stems = [PurePosixPath(image_id).stem for image_id in image_ids]
        named = [
            int(stem) for stem in stems if stem.isascii() and stem.isdigit() and len(stem) < 16
        ]
        if len(set(named)) == len(stems):
            images: dict[str, CocoId] = dict(zip(image_ids, named, strict=True))
        else:
            rank = {image_id: n for n, image_id in enumerate(sorted(image_ids), start=1)}
            images = {image_id: rank[image_id] for image_id in image_ids}
        return cls(images, {name: n for n, name in enumerate(classes, start=1)})

    @classmethod
    def read(cls, path: Path) -> "CocoNumbers":
        """Those of a COCO ground truth; annotations are not needed.

        Raises BadRows naming ids and names that are there twice.
        """
        file = CocoFile.read(path)
        refuse(file.problems)
        return file.numbers


class CocoImage(NamedTuple):
    id: CocoId
    name: str  # its file_name as a POSIX path: our image_id
    size: tuple[Any, Any] | None  # height and width as declared, true or not


@dataclass(frozen=True)
class CocoFile:
    """A COCO ground truth whose shape is in order; its annotations are not looked at yet."""

    path: Path
    images: tuple[CocoImage, ...]
    numbers: CocoNumbers
    annotations: Any  # what the file has under this key, None without
    problems: list[str]  # ids and names that are there twice

    @classmethod
    def read(cls, path: Path) -> "CocoFile":
        """Raises InputError when it is no JSON, or has no usable images and categories."""
        content = load_json(path)
        images = _listed(path, content, "images", "file_name")
        categories = _listed(path, content, "categories", "name")
        categories.sort(key=lambda row: (isinstance(row["id"], str), row["id"]))

        file_names = [PurePosixPath(str(row["file_name"])).as_posix() for row in images]
        names = [str(row["name"]) for row in categories]
        numbers = CocoNumbers(
            {name: row["id"] for name, row in zip(file_names, images, strict=True)},
            {name: row["id"] for name, row in zip(names, categories, strict=True)},
        )
        problems = [
            f"{path}: {key} {name} is there {count} times"
            for key, values in (
                ("images: id", [row["id"] for row in images]),
                ("images: file_name", file_names),
                ("categories: id", [row["id"] for row in categories]),
                ("categories: name", names),
            )
            for name, count in repeated(values)
        ]
        listed = tuple(
            CocoImage(row["id"], name, _declared_size(row))
            for name, row in zip(file_names, images, strict=True)
        )
        return cls(path, listed, numbers, content.get("annotations"), problems)


def parse_bbox(bbox: Any) -> tuple[float, float, float, float] | None:
    """x, y, width, height -> xyxy; None unless it is a list of four JSON numbers.

    NaN and Infinity, which Python programs write, are numbers here and refused later.
    """
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    x, y, width, height = map(json_number, bbox)
    if x is None or y is None or width is None or height is None:
        return None
    return x, y, x + width, y + height


def json_number(value: Any) -> float | None:
    """A JSON number; None for anything else, text and true included."""
    if type(value) not in (int, float):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def load_json(path: Path) -> Any:
    """Any JSON, NaN and Infinity included. Raises InputError."""
    try:
        return json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not whole JSON: {error.msg}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: want JSON in UTF-8: {error}") from None


def repeated(values: Sequence[Any]) -> list[tuple[str, int]]:
    """Those that are there more than once, as text, and how often."""
    return [(text, count) for text, count in Counter(map(str, values)).items() if count > 1]


def _listed(path: Path, content: Any, key: str, name: str) -> list[dict[str, Any]]:
    """The objects under `key`, which all have an id and a name."""
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and {"id", name} <= row.keys() for row in rows
    ):
        fields = " and ".join(sorted(["id", name]))
        raise InputError(f"{path}: want {key}, a list of objects with {fields}")
    if not all(type(row["id"]) in (int, str) for row in rows):
        raise InputError(f"{path}: want whole numbers or text as ids of {key}")
    return list(rows)


def _declared_size(image: dict[str, Any]) -> tuple[Any, Any] | None:
    return (image["height"], image["width"]) if {"height", "width"} <= image.keys() else None
