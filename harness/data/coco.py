"""COCO JSON: `images`, `annotations` with bbox [x, y, width, height] from 0, `categories`.

Source: https://cocodataset.org/#format-data
Differs: `iscrowd` becomes `difficult`, which counts neither way, as COCO's own scoring has it.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluate.exceptions import InputError
from harness.data.records import Object, Problem, Record, Size

FIELDS = {
    "images": {"id", "file_name"},
    "categories": {"id", "name"},
    "annotations": {"image_id", "category_id"},
}


class CocoJson:
    """One split a JSON file: instances_val.json and instances_val2017.json are both `val`."""

    def __init__(self, files: list[Path], images: Path | None = None) -> None:
        short = Counter(_split_name(path) for path in files)
        self.files = {
            _split_name(path) if short[_split_name(path)] == 1 else path.stem: path
            for path in files
        }
        self.images = images
        self._read: dict[str, dict[str, Any]] = {}  # a large file is parsed once

    def splits(self) -> tuple[str, ...]:
        return tuple(self.files)

    def classes(self) -> tuple[str, ...]:
        """Names in the order of their ids. Raises InputError where the files of the set differ."""
        lists = {split: tuple(self._categories(split).values()) for split in self.files}
        first, *others = lists
        for split in others:
            if lists[split] != lists[first]:
                raise InputError(
                    f"{self.files[split]}: categories differ from those of {self.files[first]}"
                )
        return lists[first]

    def photos(self, split: str) -> tuple[dict[str, Path], list[Problem]]:
        file = str(self.files[split])
        names = [str(image["file_name"]) for image in self._load(split)["images"]]
        folder = self.images or self._find_images(split, names)
        photos: dict[str, Path] = {}
        problems = []
        for name in names:
            image_id = Path(name).as_posix()
            if image_id in photos:
                problems.append(
                    Problem(file, None, image_id, f"{image_id} is listed twice in images")
                )
            photos[image_id] = folder / name
            if not photos[image_id].is_file():
                problems.append(
                    Problem(file, None, image_id, f"photo is missing: want {photos[image_id]}")
                )
        return photos, problems

    def records(
        self, split: str, photos: Mapping[str, Path], sizes: Mapping[str, Size]
    ) -> tuple[list[Record], list[Problem]]:
        content, file = self._load(split), str(self.files[split])
        if "annotations" not in content:
            return [], [Problem(file, None, "", "there are no annotations, only images")]
        categories = self._categories(split)
        records, problems = {}, []
        for image in content["images"]:
            size = (
                (image["height"], image["width"]) if {"height", "width"} <= image.keys() else None
            )
            records[str(image["id"])] = Record(
                Path(str(image["file_name"])).as_posix(), [], file, size
            )
        for row in content["annotations"]:
            what = f"annotation {row.get('id')}: "
            record = records.get(str(row["image_id"]))
            if record is None:
                problems.append(
                    Problem(file, None, "", f"{what}image_id {row['image_id']} is not in images")
                )
                continue
            name = categories.get(str(row["category_id"]))
            if name is None:
                what += f"category_id {row['category_id']} is not in categories"
                problems.append(Problem(file, None, record.image_id, what))
                continue
            try:
                x, y, width, height = (float(value) for value in row["bbox"])
            except (KeyError, TypeError, ValueError):
                what += f"bbox is {row.get('bbox')}, want [x, y, width, height]"
                problems.append(Problem(file, None, record.image_id, what))
                continue
            xyxy = (x, y, x + width, y + height)
            record.objects.append(
                Object(name, xyxy, bool(row.get("iscrowd", 0)), None, f"{what}{row['bbox']}")
            )
        return list(records.values()), problems

    def _load(self, split: str) -> dict[str, Any]:
        """The file's content, its shape checked as far as the readers rely on it."""
        if split not in self._read:
            path = self.files[split]
            try:
                content = json.loads(path.read_bytes())
            except json.JSONDecodeError as error:
                raise InputError(f"{path}:{error.lineno}: not whole JSON: {error.msg}") from None
            except UnicodeDecodeError as error:
                raise InputError(f"{path}: want JSON in UTF-8: {error}") from None
            for key, fields in FIELDS.items():
                rows = (
                    content.get(key, [] if key == "annotations" else None)
                    if isinstance(content, dict)
                    else None
                )
                if not isinstance(rows, list) or not all(
                    isinstance(r, dict) and fields <= r.keys() for r in rows
                ):
                    raise InputError(
                        f"{path}: want {key}, a list of objects with {' and '.join(sorted(fields))}"
                    )
            self._read[split] = content
        return self._read[split]

    def _categories(self, split: str) -> dict[str, str]:
        """id -> name, in the order of the ids."""
        pairs = sorted((row["id"], str(row["name"])) for row in self._load(split)["categories"])
        return {str(number): name for number, name in pairs}

    def _find_images(self, split: str, names: list[str]) -> Path:
        """The folder near the JSON that holds the first photo."""
        path = self.files[split]
        inside = dict.fromkeys(
            ("", split, path.stem.removeprefix("instances_"))
        )  # as in annotations/ + val2017/
        around = [
            path.parent,
            path.parent / "images",
            path.parent.parent,
            path.parent.parent / "images",
        ]
        tried = [folder / name for folder in around for name in inside]
        for folder in tried:
            if names and (folder / names[0]).is_file():
                return folder
        raise InputError(
            f"{path}: no folder has its first photo, {names[0] if names else 'none is listed'}; "
            f"tried {', '.join(map(str, tried))}; --images names another"
        )


def _split_name(path: Path) -> str:
    """instances_val2017.json -> val"""
    match = re.fullmatch(r"(?:instances_)?(.+?)(?:20\d\d)?", path.stem)
    return match[1] if match else path.stem
